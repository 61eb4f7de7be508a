#![no_main]
//! Any bytes of a response, however they are cut, give the same facts.
use dragoman_core::request::Api;
use dragoman_core::response::ResponseObserver;

libfuzzer_sys::fuzz_target!(|input: (bool, u8, &[u8])| {
    let (stream, cut, body) = input;
    let whole = {
        let mut observer = ResponseObserver::new(Api::ChatCompletions, 200, stream);
        observer.on_chunk(body);
        observer.finish(true)
    };
    let mut observer = ResponseObserver::new(Api::ChatCompletions, 200, stream);
    body.chunks(usize::from(cut).max(1)).for_each(|chunk| observer.on_chunk(chunk));
    assert_eq!(observer.finish(true), whole);
});
