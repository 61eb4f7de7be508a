//! Every kind of processor gives the same embedding, for models of all shapes.

use super::file;
use super::forward::Model;
use super::simd::Simd;
use super::write::{Tensor, Values, write};
use super::*;
use proptest::prelude::*;

/// Numbers around zero that look random and are the same everywhere.
fn noise(count: usize, seed: &str, size: f32) -> Vec<f32> {
    let mut state = seed.bytes().fold(0x9e37_79b9_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
    };
    (0..count).map(|_| next()).collect()
}

/// A model of this shape, its matrices in f32 or int8.
fn model(shape: &Shape, int8: bool) -> Vec<u8> {
    let d = shape.hidden;
    let mut tensors = Vec::new();
    let mut float = |name: String, dims: &[usize], size: f32, around: f32| {
        let values = noise(dims.iter().product(), &name, size).iter().map(|x| x + around).collect();
        tensors.push(Tensor { name, shape: dims.to_vec(), values: Values::Float(values) });
    };
    let mut norms = vec![file::EMBEDDING_NORM.to_owned(), file::FINAL_NORM.to_owned()];
    let mut matrices = vec![];
    for i in 0..shape.layers {
        norms.extend((i > 0).then(|| file::layer(i, "attn_norm")));
        norms.push(file::layer(i, "mlp_norm"));
        matrices.push((file::layer(i, "attn.Wqkv"), 3 * d, d));
        matrices.push((file::layer(i, "attn.Wo"), d, d));
        for (b, band) in shape.bands().iter().enumerate() {
            matrices.push((file::layer(i, &file::band(b, "Wi")), 2 * band.len(), d));
            matrices.push((file::layer(i, &file::band(b, "Wo")), d, band.len()));
        }
    }
    if shape.embedding_rank != d {
        matrices.push((file::UP.into(), d, shape.embedding_rank));
    }
    norms.into_iter().for_each(|name| float(format!("{name}.weight"), &[d], 0.2, 1.0));
    let mut dense = vec![(file::PROJECTION, shape.output, shape.pooled() + shape.head)];
    dense.extend((shape.head > 0).then_some((file::HEAD, shape.head, shape.pooled())));
    for (name, outputs, inputs) in dense {
        float(format!("{name}.bias"), &[outputs], 0.1, 0.0);
        matrices.push((name.to_owned(), outputs, inputs));
    }
    float(format!("{}.centre", file::POOLED), &[shape.pooled()], 0.2, 0.0);
    float(format!("{}.spread", file::POOLED), &[shape.pooled()], 0.3, 1.0);
    float(format!("{}.weight", file::TABLE), &[shape.vocabulary, shape.embedding_rank], 1.0, 0.0);
    for (name, outputs, inputs) in matrices {
        let scale = 2.4 / (inputs as f32).sqrt();
        let values = noise(outputs * inputs, &name, 1.0);
        if int8 {
            let rows = Values::Int8(values.iter().map(|x| (x * 127.0).round() as i8).collect());
            tensors.push(Tensor { name: format!("{name}.rows"), shape: vec![outputs, inputs], values: rows });
            let scales = Values::Float(vec![scale / 127.0; outputs]);
            tensors.push(Tensor { name: format!("{name}.scale"), shape: vec![outputs], values: scales });
        } else {
            let values =
                Values::Float(values.iter().map(|x| (x * 127.0).round() * (scale / 127.0)).collect());
            tensors.push(Tensor { name: format!("{name}.weight"), shape: vec![outputs, inputs], values });
        }
    }
    write(shape, &tensors).unwrap()
}

fn ids(count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|i| (i * 31 % vocabulary) as u32).collect()
}

fn run<S: Simd>(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<f32>> {
    let model = Model::<S>::load(File::read(Cow::Owned(bytes.to_vec())).unwrap()).unwrap();
    let mut arena = model.arena();
    let vocabulary = model.shape().vocabulary;
    lengths.iter().map(|n| model.run(&ids(*n, vocabulary), &mut arena).unwrap()).collect()
}

/// On what this processor has, and in plain Rust.
fn run_everywhere(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<Vec<f32>>> {
    let mut all = vec![run::<simd::Portable>(bytes, lengths)];
    #[cfg(target_arch = "x86_64")]
    {
        if simd::Avx2::here().is_some() {
            all.push(run::<simd::Avx2>(bytes, lengths));
        }
        if simd::Avx512::here().is_some() {
            all.push(run::<simd::Avx512>(bytes, lengths));
        }
    }
    all
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn shapes() -> impl Strategy<Value = Shape> {
    let wide = prop::sample::select(vec![(32, 1), (64, 1), (64, 2), (96, 3), (96, 1), (160, 5)]);
    let inner = prop::sample::select(vec![16, 48, 80]);
    let rank = prop::sample::select(vec![0, 16, 48]);
    let head = (prop::sample::select(vec![0, 16, 112]), any::<bool>());
    (wide, inner, rank, head, 1usize..4, 2usize..40, 1usize..4, 9usize..40).prop_map(
        |(
            (hidden, heads),
            intermediate,
            rank,
            (head, readout),
            layers,
            local_attention,
            global_every,
            output,
        )| Shape {
            vocabulary: 50,
            embedding_rank: if rank == 0 { hidden } else { rank },
            hidden,
            layers,
            heads,
            intermediate,
            local_attention,
            global_every,
            norm_eps: 1e-5,
            global_rope_theta: 160_000.0,
            local_rope_theta: 10_000.0,
            head,
            readout,
            output,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn all_processors_agree(shape in shapes(), lengths in prop::collection::vec(1usize..80, 1..4)) {
        shape.check().unwrap();
        let exact = run_everywhere(&model(&shape, false), &lengths);
        let int8 = run_everywhere(&model(&shape, true), &lengths);
        for (i, length) in lengths.iter().enumerate() {
            for (exact_one, int8_one) in exact.iter().zip(&int8) {
                let worst = exact[0][i].iter().zip(&exact_one[i]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                prop_assert!(worst < 2e-5, "{worst} at {length}");
                let near = cosine(&int8_one[i], &int8[0][i]);
                prop_assert!(near > 0.995, "int8 at {length}: {near}");
                // Random weights make the most of each rounding; a trained model is far nearer (tests/vectors.rs).
                prop_assert!(cosine(&int8_one[i], &exact_one[i]) > 0.97, "int8 and exact at {length}: {}", cosine(&int8_one[i], &exact_one[i]));
            }
        }
    }

    #[test]
    fn what_ran_before_leaves_no_trace(shape in shapes(), lengths in prop::collection::vec(1usize..80, 2..6)) {
        let bytes = model(&shape, true);
        let together = run::<simd::Portable>(&bytes, &lengths);
        for (length, together) in lengths.iter().zip(together) {
            prop_assert_eq!(&run::<simd::Portable>(&bytes, &[*length])[0], &together);
        }
    }
}

#[test]
fn a_token_beyond_the_table_is_an_error_and_not_a_panic() {
    let shape = Shape {
        vocabulary: 50,
        embedding_rank: 32,
        hidden: 32,
        layers: 1,
        heads: 1,
        intermediate: 16,
        local_attention: 8,
        global_every: 1,
        norm_eps: 1e-5,
        global_rope_theta: 1e4,
        local_rope_theta: 1e4,
        head: 0,
        readout: false,
        output: 8,
    };
    let fused = Fused::load(Cow::Owned(model(&shape, true))).unwrap();
    assert!(fused.run(&[1, 50]).unwrap_err().contains("beyond the model's 50 tokens"));
    assert!(fused.run(&[]).is_err());
    assert_eq!(fused.run(&[1, 49]).unwrap().len(), 8);
}
