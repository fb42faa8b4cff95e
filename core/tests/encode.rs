//! Rows in, files out, and the same file whatever way the rows arrive.

mod support;

use serde_json::{Value, json};
use support::{encode, lenenc_row, mysql_packets, mysql_response, parquet, pg_message, pg_row, read_back, spec};

fn three_columns() -> Value {
    json!([
        { "name": "id", "type": "int64", "wire": "int8" },
        { "name": "name", "type": "string", "wire": "text" },
        { "name": "price", "type": "decimal(10,2)", "wire": "text" },
    ])
}

fn text_columns() -> Value {
    json!([
        { "name": "id", "type": "int64", "wire": "text" },
        { "name": "name", "type": "string", "wire": "text" },
        { "name": "price", "type": "decimal(10,2)", "wire": "text" },
    ])
}

fn pg_rows(rows: usize) -> Vec<u8> {
    let mut input = pg_message(b'T', b"columns");
    for i in 0..rows {
        // Scattered digits, so that a file's size follows its rows.
        let scattered = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let name = (i % 3 != 0).then(|| format!("näme {scattered}").into_bytes());
        let price = Some(format!("{i}.{:02}", i % 100).into_bytes());
        input.extend(pg_row(&[Some((i as i64).to_be_bytes().to_vec()), name, price]));
        if i % 10 == 9 {
            input.extend(pg_message(b'C', b"FETCH 10"));
        }
    }
    input
}

#[test]
fn a_block_may_be_cut_at_every_byte() {
    let input = pg_rows(12);
    let whole = encode(spec("pg_messages", three_columns(), parquet(), json!({})), &input, input.len()).unwrap();
    assert_eq!(whole.slice["rows"], 12);
    assert_eq!(whole.control.len(), 2);
    for piece in 1..input.len() {
        let cut = encode(spec("pg_messages", three_columns(), parquet(), json!({})), &input, piece).unwrap();
        assert_eq!(cut, whole, "pieces of {piece}");
    }
}

#[test]
fn mysql_packets_may_be_cut_at_every_byte_with_and_without_eof() {
    let rows: Vec<Vec<u8>> = (0..5)
        .map(|i| {
            lenenc_row(&[
                Some(i.to_string().into_bytes()),
                (i % 2 == 0).then(|| vec![b'x'; 300]),
                Some(b"1.5".to_vec()),
            ])
        })
        .collect();
    for deprecate_eof in [false, true] {
        let response = mysql_response(3, &rows, deprecate_eof);
        // Two statements, one after the other.
        let input = [response.clone(), response].concat();
        let whole = encode(spec("mysql_packets", text_columns(), parquet(), json!({})), &input, input.len()).unwrap();
        assert_eq!(whole.slice["rows"], 10);
        assert_eq!(whole.control.len(), if deprecate_eof { 10 } else { 12 });
        for piece in 1..400 {
            let cut = encode(spec("mysql_packets", text_columns(), parquet(), json!({})), &input, piece).unwrap();
            assert_eq!(cut, whole, "pieces of {piece}");
        }
    }
}

#[test]
fn bare_rows_may_be_cut_at_every_byte() {
    let rows: Vec<u8> =
        (0..6).flat_map(|i| lenenc_row(&[Some(i.to_string().into_bytes()), Some(vec![b'y'; 260 * i]), None])).collect();
    let whole = encode(spec("rows", text_columns(), parquet(), json!({})), &rows, rows.len()).unwrap();
    assert_eq!(whole.slice["rows"], 6);
    assert_eq!(whole.slice["columns"][2]["nulls"], 6);
    for piece in 1..400 {
        assert_eq!(encode(spec("rows", text_columns(), parquet(), json!({})), &rows, piece).unwrap(), whole);
    }
}

#[test]
fn a_mysql_row_goes_on_in_the_next_packet() {
    const MAX: usize = 0xff_ffff;
    // Lengths around the limit of a packet: the payload ends before it, at it, after it, and in a third packet.
    for extra in [0, 1, 2, MAX + 7] {
        let long = vec![b'z'; MAX - 8 + extra];
        let row = lenenc_row(&[Some(b"7".to_vec()), Some(long.clone()), Some(b"0.25".to_vec())]);
        let input = mysql_response(3, &[row, lenenc_row(&[None, None, None])], true);
        let spec = spec("mysql_packets", text_columns(), json!({ "kind": "csv", "codec": "none" }), json!({}));
        let outcome = encode(spec, &input, 1 << 20).unwrap();
        assert_eq!(outcome.slice["rows"], 2);
        assert_eq!(outcome.slice["columns"][1]["longest"], long.len());
        let csv = &outcome.files[0];
        assert_eq!(csv.len(), "id,name,price\n7,".len() + long.len() + ",0.25\n,,\n".len());
        assert!(csv.ends_with(b"z,0.25\n,,\n"));
    }
}

#[test]
fn a_first_value_of_16_megabytes_is_not_the_end_of_the_rows() {
    let long = vec![b'a'; 0x100_0001];
    let input = mysql_response(1, &[lenenc_row(&[Some(long)])], true);
    let columns = json!([{ "name": "a", "type": "binary", "wire": "bytes" }]);
    let outcome = encode(spec("mysql_packets", columns, parquet(), json!({})), &input, 1 << 20).unwrap();
    assert_eq!(outcome.slice["rows"], 1);
    assert_eq!(outcome.slice["columns"][0]["longest"], 0x100_0001);
}

#[test]
fn a_long_value_is_refused_from_its_length_alone() {
    let limit = json!({ "maxValueBytes": 1000 });
    let mut pg = pg_row(&[Some(vec![0; 8]), Some(vec![b'x'; 1001]), None]);
    pg.truncate(5 + 2 + 4 + 8 + 4 + 1);
    let mut bare = lenenc_row(&[Some(b"1".to_vec()), Some(vec![b'x'; 1001]), None]);
    bare.truncate(2 + 3);
    let mut sequence = 0;
    let head = mysql_response(3, &[], true);
    let head = &head[..head.len() - 11];
    let packet = mysql_packets(&lenenc_row(&[Some(b"1".to_vec()), Some(vec![b'x'; 1001]), None]), &mut sequence);
    let mysql = [head, &packet[..4 + 2 + 3]].concat();
    for (framing, columns, input) in
        [("pg_messages", three_columns(), pg), ("rows", text_columns(), bare), ("mysql_packets", text_columns(), mysql)]
    {
        let error = encode(spec(framing, columns, parquet(), limit.clone()), &input, 1).unwrap_err();
        assert_eq!(error.code, "RIVET_VALUE_TOO_LARGE", "{framing}: {error:?}");
        assert_eq!(error.r#where.as_deref(), Some("column 'name'"));
        assert!(error.message.contains("1001 bytes"), "{}", error.message);
    }
}

#[test]
fn input_that_ends_inside_a_message_is_an_error() {
    let input = pg_rows(3);
    for cut in 1..20 {
        let short = &input[..input.len() - cut];
        let error = encode(spec("pg_messages", three_columns(), parquet(), json!({})), short, 1 << 20).unwrap_err();
        assert_eq!(error.code, "RIVET_INTERNAL_SOURCE_INVARIANT");
    }
}

#[test]
fn another_number_of_columns_is_a_change_under_the_read() {
    let rows = pg_row(&[Some(vec![0; 8]), None]);
    let error = encode(spec("pg_messages", three_columns(), parquet(), json!({})), &rows, 1 << 20).unwrap_err();
    assert_eq!(error.code, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ");
    let response = mysql_response(2, &[], true);
    let error = encode(spec("mysql_packets", text_columns(), parquet(), json!({})), &response, 1 << 20).unwrap_err();
    assert_eq!(error.code, "RIVET_SOURCE_COLUMNS_CHANGED_UNDER_READ");
}

#[test]
fn a_file_read_back_has_the_checksums_that_were_observed() {
    let input = pg_rows(5000);
    for codec in ["zstd", "snappy", "gzip", "lz4", "none"] {
        let format = json!({ "kind": "parquet", "codec": codec, "rowGroupBytes": 20_000 });
        let spec = spec("pg_messages", three_columns(), format, json!({ "maxFileBytes": 30_000 }));
        let columns = spec.columns.clone();
        let outcome = encode(spec, &input, 4096).unwrap();
        assert!(outcome.files.len() > 1, "{codec}");
        let mut rows = 0;
        for (file, part) in outcome.files.iter().zip(&outcome.parts) {
            let read = read_back(file, &columns, 1000).unwrap();
            assert_eq!(read["rows"], part["rows"]);
            for column in 0..3 {
                for key in ["name", "nulls", "checksum"] {
                    assert_eq!(read["columns"][column][key], part["columns"][column][key], "{codec} {column} {key}");
                }
            }
            rows += part["rows"].as_u64().unwrap();
        }
        assert_eq!(rows, 5000);
    }
}

#[test]
fn rotation_loses_no_row_and_sums_to_the_slice() {
    let input = pg_rows(20_000);
    let spec = spec("pg_messages", three_columns(), parquet(), json!({ "maxFileBytes": 40_000, "minMax": ["id"] }));
    let outcome = encode(spec, &input, 10_000).unwrap();
    assert!(outcome.files.len() > 2);
    let sum = |key: &str, column: usize| -> u64 {
        let parts = outcome.parts.iter().map(|part| &part["columns"][column][key]);
        parts.map(|v| v.as_u64().unwrap_or_else(|| v.as_str().unwrap().parse().unwrap())).fold(0, u64::wrapping_add)
    };
    assert_eq!(outcome.slice["rows"], 20_000);
    for column in 0..3 {
        assert_eq!(outcome.slice["columns"][column]["nulls"], sum("nulls", column));
        assert_eq!(outcome.slice["columns"][column]["checksum"], sum("checksum", column).to_string());
    }
    assert_eq!(outcome.slice["columns"][0]["min"], "0");
    assert_eq!(outcome.slice["columns"][0]["max"], "19999");
    for (file, part) in outcome.files.iter().zip(&outcome.parts) {
        assert_eq!(part["bytes"], file.len());
    }
}
