//! A CSV file read back tells what was observed while it was written; a damaged one is refused or differs, and nothing panics.

#![allow(clippy::unwrap_used)]

mod support;

use rivet_core::read::Reader;
use rivet_core::spec::{ColumnSpec, FormatSpec};
use serde_json::{Value, json};
use support::{LOGICALS, Random, WIRES, encode, pg_row, spec};

const ROUNDS: usize = 30;
/// A type that took none of the random values is tried again, so often at most.
const SWEEPS: usize = 30;

fn read_csv(file: &[u8], columns: &Value, format: &Value, piece: usize) -> Result<Value, rivet_core::error::CoreError> {
    let columns: Vec<ColumnSpec> = serde_json::from_value(columns.clone()).unwrap();
    let format: FormatSpec = serde_json::from_value(format.clone()).unwrap();
    let mut reader = Reader::new(file.len() as u64, &columns, None, Some(format))?;
    while let Some(need) = reader.need() {
        let length = (need.length as usize).min(piece);
        reader.give(&file[need.offset as usize..need.offset as usize + length])?;
    }
    Ok(serde_json::from_str(&reader.finish()?).unwrap())
}

fn format(random: &mut Random) -> Value {
    json!({
        "kind": "csv",
        "codec": random.pick(&["none", "gzip", "zstd"]),
        "delimiter": random.pick(&[",", ";", "\t", "|"]),
        "header": random.below(2) == 0,
        "null": random.pick(&[Value::Null, json!("\\N"), json!("NULL"), json!("0")]),
    })
}

fn field(random: &mut Random, wire: &str) -> Option<Vec<u8>> {
    const TEXTS: [&str; 24] = [
        "0",
        "-1.5",
        "1e30",
        "NaN",
        "inf",
        "-0",
        "true",
        "f",
        "12:30:01.000001",
        "24:00:00",
        "2026-01-02",
        "0044-03-15 01:02:03",
        "12026-01-02",
        "2026-01-02T03:04:05.123456Z",
        "",
        "\\N",
        "NULL",
        "a,b;c|d\te",
        "say \"hi\"\r\n\"",
        "[1,null]",
        "{\"a\": [1, \"]\\\"\"]}",
        "null",
        "00112233-4455-6677-8899-aabbccddeeff",
        "é",
    ];
    let element = |random: &mut Random| -> Vec<u8> {
        match wire {
            "array<int4>" => (random.next() as i32).to_be_bytes().to_vec(),
            "array<numeric>" => [[0, 1u16], [0, 0], [0, 2], [random.below(9999) as u16; 2]]
                .iter()
                .flatten()
                .skip(1)
                .take(5)
                .flat_map(|word| word.to_be_bytes())
                .collect(),
            _ => random.pick(&TEXTS).as_bytes().to_vec(),
        }
    };
    if random.below(5) == 0 {
        return None;
    }
    if wire.starts_with("array<") {
        let count = random.below(4);
        let mut out: Vec<u8> = [i32::from(count > 0), 1, 25].iter().flat_map(|word| word.to_be_bytes()).collect();
        if count > 0 {
            out.extend([count as i32, 1].iter().flat_map(|word| word.to_be_bytes()));
        }
        for _ in 0..count {
            if random.below(4) == 0 {
                out.extend((-1i32).to_be_bytes());
            } else {
                let element = element(random);
                out.extend((element.len() as i32).to_be_bytes());
                out.extend(element);
            }
        }
        return Some(out);
    }
    let length = *random.pick(&[1usize, 2, 4, 8, 16, 16]);
    Some(match random.below(3) {
        0 => random.bytes(length),
        _ => element(random),
    })
}

#[test]
fn what_was_written_is_read_back_in_any_format_and_in_any_pieces() {
    let mut random = Random::open("what_was_written_is_read_back_in_any_format_and_in_any_pieces");
    let mut seen = std::collections::BTreeSet::new();
    for (sweep, logical) in (0..SWEEPS).flat_map(|sweep| LOGICALS.map(|logical| (sweep, logical))) {
        if sweep > 0 && seen.contains(logical) {
            continue;
        }
        for wire in WIRES {
            let columns = json!([
                { "name": "n,1", "type": "int64", "wire": "int8" },
                { "name": "v", "type": logical, "wire": wire },
            ]);
            for round in 0..ROUNDS {
                let rows: Vec<u8> = (0..random.below(6))
                    .flat_map(|row| pg_row(&[Some((row as i64).to_be_bytes().to_vec()), field(&mut random, wire)]))
                    .collect();
                let format = format(&mut random);
                let more = match round % 3 {
                    0 => json!({}),
                    1 => json!({ "exportedAtUs": 1.0 }),
                    _ => json!({ "exportedAtUs": 1.0, "rowHash": ["v"] }),
                };
                let Ok(outcome) = encode(spec("pg_messages", columns.clone(), format.clone(), more), &rows, 1 << 16)
                else {
                    continue;
                };
                let piece = *random.pick(&[1, 3, 1 << 20]);
                let read = read_csv(&outcome.files[0], &columns, &format, piece).unwrap();
                let part = &outcome.parts[0];
                assert_eq!(read["rows"], part["rows"]);
                for (read_column, column) in
                    read["columns"].as_array().unwrap().iter().zip(part["columns"].as_array().unwrap())
                {
                    let told =
                        format!("{logical} from {wire} in {format}: {:?}", String::from_utf8_lossy(&outcome.files[0]));
                    assert_eq!(read_column["nulls"], column["nulls"], "{told}");
                    if !read["ambiguous"].as_array().unwrap().contains(&column["name"]) {
                        assert_eq!(read_column["checksum"], column["checksum"], "{told}");
                    }
                }
                if part["rows"] != 0 {
                    seen.insert(logical);
                }
            }
        }
    }
    assert_eq!(seen.len(), LOGICALS.len(), "only {seen:?}");
}

#[test]
fn a_damaged_file_is_refused_or_differs() {
    let mut random = Random::open("a_damaged_file_is_refused_or_differs");
    let columns = json!([
        { "name": "id", "type": "int64", "wire": "int8" },
        { "name": "body", "type": "string", "wire": "text" },
        { "name": "tags", "type": "list<string>", "wire": "array<text>" },
        { "name": "raw", "type": "binary", "wire": "bytea" },
    ]);
    for codec in ["none", "gzip", "zstd"] {
        let format = json!({ "kind": "csv", "codec": codec });
        let rows: Vec<u8> = (0..40i64)
            .flat_map(|row| {
                let body = Some(format!("row \"{row}\",\n").into_bytes());
                pg_row(&[
                    Some(row.to_be_bytes().to_vec()),
                    body,
                    field(&mut random, "array<text>"),
                    Some(vec![row as u8]),
                ])
            })
            .collect();
        let outcome = encode(spec("pg_messages", columns.clone(), format.clone(), json!({})), &rows, 1 << 16).unwrap();
        let (file, part) = (&outcome.files[0], &outcome.parts[0]);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << random.below(8);
            let _ = read_csv(&damaged, &columns, &format, 1 << 20);
            let error = read_csv(&file[..at], &columns, &format, 7);
            match error {
                Err(error) => assert_eq!(error.code, "RIVET_VERIFY_CONTENT_UNMET"),
                Ok(read) => assert!(codec == "none" && read["rows"] != part["rows"], "cut at {at}"),
            }
        }
        let mut longer = file.clone();
        longer.extend_from_slice(b"x");
        assert!(read_csv(&longer, &columns, &format, 1 << 20).is_err());
    }
}

#[test]
fn random_text_is_read_or_refused() {
    let mut random = Random::open("random_text_is_read_or_refused");
    for _ in 0..2000 {
        let logical = random.pick(&LOGICALS).to_string();
        let columns = json!([{ "name": "a", "type": logical }, { "name": "b", "type": "list<json>" }]);
        let format = format(&mut random);
        let length = random.below(60);
        let mut file: Vec<u8> =
            (0..length).map(|_| *random.pick(b"\"\"\n\n,,;|\t[]{}\\u0nax\r-1.e:T\xc3\xa9")).collect();
        if random.below(2) == 0 {
            file.push(b'\n');
        }
        let piece = random.below(8) + 1;
        let _ = read_csv(&file, &columns, &format, piece);
    }
}
