//! Whatever bytes come, the core answers with values or with an error; it never panics.

mod support;

use serde_json::json;
use support::{LOGICALS, Outcome, Random, WIRES, encode, lenenc_row, parquet, pg_row, spec};

const ROUNDS: usize = 40;

/// Every pair of wire form and type that the core accepts.
fn accepted_pairs() -> Vec<(&'static str, &'static str)> {
    let pairs = WIRES.iter().flat_map(|wire| LOGICALS.iter().map(move |logical| (*wire, *logical)));
    let accepted: Vec<_> = pairs
        .filter(|(wire, logical)| {
            let columns = json!([{ "name": "a", "type": logical, "wire": wire }]);
            match encode(spec("rows", columns, parquet(), json!({})), &[], 1) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.code, "RIVET_SOURCE_OVERRIDE_WIRE_MISMATCH");
                    false
                }
            }
        })
        .collect();
    assert!(accepted.len() > 60, "only {} pairs", accepted.len());
    accepted
}

fn check(outcome: Result<Outcome, rivet_core::error::CoreError>) {
    if let Err(error) = outcome {
        assert!(error.code.starts_with("RIVET_"), "{error:?}");
        assert!(!error.message.is_empty());
    }
}

#[test]
fn random_values_are_decoded_or_refused() {
    let mut random = Random::open("random_values_are_decoded_or_refused");
    for (wire, logical) in accepted_pairs() {
        for _ in 0..ROUNDS {
            let rows: Vec<Vec<Option<Vec<u8>>>> = (0..random.below(4) + 1)
                .map(|_| {
                    let length = *random.pick(&[0, 1, 2, 4, 8, 8, 10, 12, 16, 16, 20, 24, 33, 36]);
                    let text = *random.pick(&["0", "-1.5", "12:30:01", "2026-01-02", "0000-00-00", "1e400", "t", "é"]);
                    vec![match random.below(4) {
                        0 => None,
                        1 => Some(text.as_bytes().to_vec()),
                        _ => Some(random.bytes(length)),
                    }]
                })
                .collect();
            let columns = json!([{ "name": "a", "type": logical, "wire": wire }]);
            let pg: Vec<u8> = rows.iter().flat_map(|row| pg_row(row)).collect();
            check(encode(spec("pg_messages", columns.clone(), parquet(), json!({})), &pg, 7));
            let bare: Vec<u8> = rows.iter().flat_map(|row| lenenc_row(row)).collect();
            let csv = json!({ "kind": "csv", "codec": "none" });
            check(encode(spec("rows", columns, csv, json!({ "minMax": ["a"], "rowHash": ["a"] })), &bare, 5));
        }
    }
}

#[test]
fn values_made_of_wire_headers_are_decoded_or_refused() {
    let mut random = Random::open("values_made_of_wire_headers_are_decoded_or_refused");
    for (wire, logical) in accepted_pairs() {
        for _ in 0..ROUNDS {
            let words = random.below(12);
            let value: Vec<u8> = (0..words)
                .flat_map(|_| random.pick(&[0u16, 1, 2, 3, 9999, 0x4000, 0xc000, 0xffff, 0x7fff]).to_be_bytes())
                .collect();
            let columns = json!([{ "name": "a", "type": logical, "wire": wire }]);
            check(encode(spec("pg_messages", columns, parquet(), json!({})), &pg_row(&[Some(value)]), 1 << 20));
        }
    }
}

#[test]
fn random_messages_are_framed_or_refused() {
    let mut random = Random::open("random_messages_are_framed_or_refused");
    let columns = json!([
        { "name": "a", "type": "string", "wire": "text" },
        { "name": "b", "type": "binary", "wire": "bytes" },
    ]);
    for framing in ["pg_messages", "mysql_packets", "rows"] {
        for round in 0..2000 {
            let length = random.below(200);
            let mut input = random.bytes(length);
            if round % 2 == 0 {
                // Small numbers look like lengths.
                input.iter_mut().for_each(|byte| *byte %= 6);
            }
            if framing == "pg_messages" && !input.is_empty() {
                input[0] = b'D';
            }
            let piece = 1 + random.below(50);
            let more = json!({ "maxValueBytes": 1000 });
            check(encode(spec(framing, columns.clone(), parquet(), more), &input, piece));
        }
    }
}

#[test]
fn damaged_rows_are_decoded_or_refused() {
    let mut random = Random::open("damaged_rows_are_decoded_or_refused");
    let columns = json!([
        { "name": "a", "type": "string", "wire": "text" },
        { "name": "b", "type": "decimal(20,4)", "wire": "numeric" },
        { "name": "c", "type": "list<string>", "wire": "array<text>" },
    ]);
    let array = [1i32, 0, 25, 2, 1, 2].iter().flat_map(|word| word.to_be_bytes()).chain(*b"ab");
    let array: Vec<u8> = array.chain([0, 0, 0, 1, b'c']).collect();
    let numeric = vec![0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 9, 196];
    let good = pg_row(&[Some(b"text".to_vec()), Some(numeric), Some(array)]);
    for _ in 0..5000 {
        let mut input = good.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len());
            input[at] = *random.pick(&[0, 1, 2, 5, 127, 128, 254, 255]);
        }
        check(encode(spec("pg_messages", columns.clone(), parquet(), json!({})), &input, 1 << 20));
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let mut random = Random::open("damaged_files_are_read_or_refused");
    let columns =
        json!([{ "name": "a", "type": "string", "wire": "text" }, { "name": "b", "type": "int64", "wire": "text" }]);
    let rows: Vec<u8> = (0..500)
        .flat_map(|i| lenenc_row(&[Some(format!("value {i}").into_bytes()), Some(i.to_string().into_bytes())]))
        .collect();
    let spec = spec("rows", columns, parquet(), json!({}));
    let columns = spec.columns.clone();
    let outcome = encode(spec, &rows, 1 << 20).unwrap();
    for _ in 0..200 {
        let mut file = outcome.files[0].clone();
        let footer = file.len() - 8;
        // The footer says how the rest is read; damage there must be found, not obeyed.
        let at = footer - 1 - random.below(footer.min(600));
        file[at] ^= 1 << random.below(8);
        let result = std::panic::catch_unwind(|| support::read_back(&file, &columns, 1 << 20));
        if let Ok(Err(error)) = result {
            assert_eq!(error.code, "RIVET_VERIFY_CONTENT_UNMET");
        }
    }
}
