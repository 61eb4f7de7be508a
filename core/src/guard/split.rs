//! Which sessions see the canary: a keyed hash of the session's name, so that a session keeps its arm, nobody can
//! name a session into an arm, and a session in a small share stays in when the share is widened.

use serde::{Deserialize, Serialize};

/// How requests are split between live and canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Percent of the sessions that see the canary, 0..=100.
    pub share: u8,
    /// Drawn anew for each rollout, so that it is not always the same users who try things out.
    pub salt: [u64; 2],
}

impl Split {
    /// Whether a request sees the canary. One without a session falls by `draw`, a uniform random number in 0..1.
    pub fn takes(&self, session: Option<&str>, draw: f64) -> bool {
        let place = session.map_or(draw, |name| unit(siphash(self.salt, name.as_bytes())));
        place * 100.0 < f64::from(self.share)
    }
}

/// The upper 53 bits as a number in 0..1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// SipHash-2-4 (Aumasson & Bernstein 2012, "SipHash: a fast short-input PRF"), written out because the standard
/// library does not promise its own hash to stay the same between builds.
pub(super) fn siphash([k0, k1]: [u64; 2], data: &[u8]) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let words = data.chunks_exact(8);
    let mut last = [0; 8];
    last.iter_mut().zip(words.remainder()).for_each(|(to, from)| *to = *from);
    let last = u64::from_le_bytes(last) | (data.len() as u64) << 56;
    let words = words.filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
    for word in words.chain([last]) {
        v[3] ^= word;
        (0..2).for_each(|_| round(&mut v));
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v.iter().fold(0, |hash, part| hash ^ part)
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_siphash_2_4() {
        // The vectors of the reference implementation: key 00..0f, data 00..n.
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let data: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(key, &data[..8]), 0x93f5_f579_9a93_2462);
        assert_eq!(siphash(key, &data), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_session_keeps_its_arm_and_stays_in_when_the_share_is_widened() {
        let split = |share| Split { share, salt: [3, 4] };
        for n in 0..2000 {
            let name = format!("session {n}");
            let takes = |share, draw| split(share).takes(Some(&name), draw);
            assert_eq!(takes(10, 0.0), takes(10, 0.99), "whatever the draw");
            assert!(!takes(10, 0.5) || takes(25, 0.5));
            assert!(!takes(0, 0.0) && takes(100, 0.999_999));
        }
    }

    #[test]
    fn the_share_is_that_of_the_sessions_and_another_salt_takes_others() {
        let taken = |salt| -> Vec<u32> {
            let split = Split { share: 10, salt };
            (0..20_000).filter(|n| split.takes(Some(&n.to_string()), 0.5)).collect()
        };
        let (one, two) = (taken([1, 2]), taken([1, 3]));
        for share in [one.len(), two.len()] {
            assert!((1850..2150).contains(&share), "{share} of 20000");
        }
        let both = one.iter().filter(|n| two.contains(n)).count();
        assert!((120..280).contains(&both), "{both} in both");
    }

    #[test]
    fn requests_without_a_session_fall_by_their_draw() {
        let split = Split { share: 25, salt: [1, 2] };
        assert!(split.takes(None, 0.249) && !split.takes(None, 0.25));
    }
}
