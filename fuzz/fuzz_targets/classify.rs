//! No text makes the classifier fail, and none makes it take a write that follows for a read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use multiverse::route::{Access, classify};

fuzz_target!(|sql: &str| {
    let verdict = classify(sql);
    // A text of which nothing is known is no read.
    assert!(verdict.statements.is_some() || verdict.access != Access::Read);
    // Whatever comes before it, a write stays one: if the whole parses, the write is in it, unless a comment or a string
    // that the text leaves open has swallowed it, and then the whole does not parse.
    let followed = classify(&format!("{sql}\n; DELETE FROM t"));
    if let (Some(before), Some(all)) = (verdict.statements, followed.statements)
        && all == before + 1
    {
        assert_ne!(followed.access, Access::Read);
    }
});
