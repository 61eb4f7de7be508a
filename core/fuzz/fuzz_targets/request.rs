#![no_main]
//! Any body of any API is read or refused; what was read can be renamed, and then says the new name.
use dragoman_core::request::{Api, parse, rewrite_model};

const APIS: [Api; 4] = [Api::ChatCompletions, Api::Completions, Api::Responses, Api::Messages];

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for api in APIS {
        if let Ok(request) = parse(api, body) {
            let renamed = rewrite_model(body, &request, "new \"name\"").expect("it is of this body");
            let again = parse(api, &renamed.body).expect("a renamed body is still a request");
            assert_eq!(again.model.as_deref(), Some("new \"name\""));
        }
    }
});
