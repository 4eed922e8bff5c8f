//! Generated texts: whatever is put around or into a write, it does not become a read; and no text makes the classifier
//! fail.

use multiverse::route::{Access, classify};

use crate::database::Database;
use crate::reads::READS;
use crate::schema::SCHEMA;
use crate::writes::{FORMS, WRITES, WRITING_EXPRESSIONS};

/// A sequence of numbers that looks random and is the same in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

/// What may stand between any two tokens.
const GAPS: &[&str] = &[" ", "\n", "\t", " /* x */ ", " /* a /* b */ ; */ ", " -- ' \n", "\r\n"];

/// The text with other gaps and another case of letters, and with something harmless around it.
fn mutate(sql: &str, sequence: &mut Sequence) -> String {
    let mut mutated = String::new();
    let mut in_quotes = None;
    for character in sql.chars() {
        match in_quotes {
            Some(quote) if quote == character => in_quotes = None,
            None if matches!(character, '\'' | '"' | '$') => in_quotes = Some(character),
            _ => {}
        }
        if character == ' ' && in_quotes.is_none() && !sql.contains("--") {
            mutated.push_str(sequence.pick(GAPS));
        } else if in_quotes.is_none() && !sql.contains("U&") && sequence.below(3) == 0 {
            mutated.extend(character.to_uppercase());
        } else {
            mutated.push(character);
        }
    }
    match sequence.below(5) {
        0 => format!("SELECT 1; {mutated}"),
        1 => format!("{mutated}\n; SELECT 2"),
        2 => format!("/* SELECT */ {mutated}"),
        3 => format!("\u{feff}{mutated}").trim_start_matches('\u{feff}').to_owned(),
        _ => mutated,
    }
}

#[test]
fn a_write_stays_one_whatever_its_spelling() {
    let mut database = Database::with(SCHEMA);
    let mut sequence = Sequence(11);
    for _ in 0..3_000 {
        let sql = if sequence.below(2) == 0 {
            sequence.pick(WRITES).trim_end_matches(" -").to_owned()
        } else {
            let expression = sequence.pick(WRITING_EXPRESSIONS);
            sequence.pick(FORMS).replace("{}", expression)
        };
        let mutated = mutate(&sql, &mut sequence);
        assert!(!database.goes_to_replica(&mutated), "{mutated}");
    }
}

#[test]
fn a_write_put_into_any_read_makes_it_one() {
    let mut database = Database::with(SCHEMA);
    let mut sequence = Sequence(13);
    let mut parsed = 0;
    for _ in 0..6_000 {
        let read = sequence.pick(READS);
        let places: Vec<usize> = read.match_indices('1').map(|(place, _)| place).collect();
        if places.is_empty() {
            continue;
        }
        let place = places[sequence.below(places.len())];
        let mutated =
            format!("{}{}{}", &read[..place], sequence.pick(WRITING_EXPRESSIONS), &read[place + 1..]);
        let verdict = classify(&mutated);
        let names_it = |names: &[multiverse::route::ObjectName]| !names.is_empty();
        // Inside a string or a comment it is no call.
        if verdict.access == Access::Read
            && names_it(&verdict.functions)
            && !read.contains('\'')
            && !read.contains("/*")
        {
            parsed += 1;
            assert!(!database.goes_to_replica(&mutated), "{mutated}");
        }
    }
    assert!(parsed > 300, "{parsed}");
}

#[test]
fn no_text_makes_the_classifier_fail() {
    let mut sequence = Sequence(17);
    let pieces = [
        "SELECT",
        " ",
        "(",
        ")",
        "'",
        "\"",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        ";",
        "\\",
        "E'",
        "U&\"",
        "FROM",
        "users",
        "1",
        ",",
        "+",
        "::",
        "int",
        "INSERT INTO log",
        "WITH w AS (",
        "CASE WHEN",
        "END",
        "\0",
        "é",
        "\u{1F600}",
        "$1",
        "[",
        "]",
        ".",
        "*",
        "BEGIN",
        "nextval('s')",
        "INTO",
        "FOR UPDATE",
        "\n",
        "?",
        "||",
        "DROP RULE",
        "COPY",
        "AS",
    ];
    for _ in 0..20_000 {
        let text: String = (0..sequence.below(14)).map(|_| sequence.pick(&pieces)).collect();
        let verdict = classify(&text);
        assert!(verdict.statements.is_some() || verdict.access == Access::Uncertain, "{text}");
    }
}

/// What the fuzz target `classify` does, without a fuzzer. `REPLICAVERSE_FUZZ_RUNS` says how often.
#[test]
fn no_mangled_statement_makes_the_classifier_fail_or_take_a_write_for_a_read() {
    let runs: u32 = std::env::var("REPLICAVERSE_FUZZ_RUNS").map_or(20_000, |runs| runs.parse().unwrap());
    let mut sequence = Sequence(19);
    let pick = |sequence: &mut Sequence| match sequence.below(3) {
        0 => sequence.pick(READS).to_owned(),
        1 => sequence.pick(WRITES).to_owned(),
        _ => sequence.pick(FORMS).replace("{}", sequence.pick(WRITING_EXPRESSIONS)),
    };
    let mut statements = 0;
    for _ in 0..runs {
        let mut text = pick(&mut sequence).into_bytes();
        for _ in 0..=sequence.below(6) {
            mangle(&mut text, &pick(&mut sequence), &mut sequence);
        }
        let sql = String::from_utf8_lossy(&text);
        let verdict = classify(&sql);
        assert!(verdict.statements.is_some() || verdict.access != Access::Read, "{sql}");
        let followed = classify(&format!("{sql}\n; DELETE FROM t"));
        if let (Some(before), Some(all)) = (verdict.statements, followed.statements)
            && all == before + 1
        {
            statements += 1;
            assert_ne!(followed.access, Access::Read, "{sql}");
        }
    }
    assert!(statements > runs / 20, "only {statements} texts were statements");
}

/// Changes, removes, doubles or puts in a few bytes, or a part of another text.
fn mangle(text: &mut Vec<u8>, other: &str, sequence: &mut Sequence) {
    const TELLING: &[u8] = b"'\"$;-/*\\()[]{}:,.@%\0\n\xff\xc3EeUuNn&+019 \t_";
    let from = sequence.below(text.len() + 1);
    let to = (from + sequence.below(12)).min(text.len());
    match sequence.below(5) {
        0 => drop(text.drain(from..to)),
        1 => text.insert(from, TELLING[sequence.below(TELLING.len())]),
        2 => {
            let part = text[from..to].to_vec();
            let at = sequence.below(text.len() + 1);
            text.splice(at..at, part);
        }
        3 => {
            let start = sequence.below(other.len() + 1);
            let length = sequence.below(other.len() - start + 1);
            text.splice(from..from, other.as_bytes()[start..start + length].iter().copied());
        }
        _ if from < text.len() => text[from] = TELLING[sequence.below(TELLING.len())],
        _ => {}
    }
}

#[test]
fn texts_that_nest_deep_are_classified_or_given_up_but_never_overflow_the_stack() {
    for depth in [50, 500, 3_000, 9_000, 100_000] {
        for (text, is_read) in [
            (format!("SELECT {}", vec!["1"; depth].join(" + ")), true),
            (format!("SELECT {}", vec!["'a'"; depth].join(" || ")), true),
            (format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)), true),
            (format!("SELECT {} true", "NOT ".repeat(depth)), true),
            (format!("SELECT {}1", "- ".repeat(depth)), true),
            (format!("SELECT {}1{}", "(SELECT ".repeat(depth), ")".repeat(depth)), true),
            (format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(depth), " END".repeat(depth)), true),
            (format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(depth)), true),
            (format!("SELECT {}1{}", "f(".repeat(depth), ")".repeat(depth)), true),
            (format!("SELECT '[1]'::jsonb{}", "->0".repeat(depth)), true),
            (format!("SELECT 1{}", "::int".repeat(depth)), true),
            (format!("INSERT INTO log VALUES {}", vec!["(1)"; depth].join(", ")), false),
        ] {
            let verdict = classify(&text);
            assert!(verdict.access != Access::Read || is_read);
            if depth == 50 && is_read {
                assert_eq!(verdict.access, Access::Read, "{} at {depth}", &text[..40]);
            }
        }
    }
}

#[test]
fn long_texts_that_are_flat_are_classified() {
    let list = format!("SELECT * FROM users WHERE id IN ({})", vec!["$1"; 20_000].join(", "));
    assert_eq!(classify(&list).access, Access::Read);
    let rows = format!("INSERT INTO users (id, name) VALUES {}", vec!["($1, 'a')"; 20_000].join(", "));
    let verdict = classify(&rows);
    assert_eq!(
        (verdict.access, verdict.statements, verdict.changes_session),
        (Access::Write, Some(1), false)
    );
    let conditions = format!("SELECT * FROM users WHERE {}", vec!["id = 1"; 20_000].join(" OR "));
    assert_eq!(classify(&conditions).access, Access::Read);
}
