//! The texts of a CSV file as values: hexadecimal bytes and JSON lists here, everything else by the decoder of text.

use crate::column::{ColumnBuffer, Store};
use crate::decode::{Decoder, Fields};
use crate::error::{CoreError, Result, UNREADABLE_FILE};
use crate::spec::Logical;

fn unreadable(message: &str) -> CoreError {
    CoreError::new(UNREADABLE_FILE, format!("The CSV file cannot be read back: {message}"))
}

/// How the fields of one column become values.
pub struct Values {
    decoder: Decoder,
    is_hex: bool,
    is_json: bool,
    item: Option<Box<Values>>,
    /// A NULL element and a JSON null are written alike.
    pub met_json_null: bool,
    scratch: Vec<u8>,
    starts: Vec<u32>,
    lengths: Vec<i32>,
}

impl Values {
    pub fn new(name: &str, logical: &Logical) -> Result<Self> {
        let (scalar, item) = match logical {
            Logical::List(item) => (item.as_ref(), Some(Box::new(Values::new(name, item)?))),
            scalar => (scalar, None),
        };
        let is_hex = matches!(scalar, Logical::Binary);
        Ok(Values {
            decoder: Decoder::of_text(name, if is_hex { "bytes" } else { "text" })?,
            is_hex,
            is_json: matches!(scalar, Logical::Json),
            item,
            met_json_null: false,
            scratch: Vec::new(),
            starts: Vec::new(),
            lengths: Vec::new(),
        })
    }

    pub fn read(&mut self, fields: Fields<'_>, out: &mut ColumnBuffer) -> Result<()> {
        if let Some(item) = self.item.take() {
            let read = self.read_lists(*item, fields, out);
            self.item = Some(Box::new(read?));
            return Ok(());
        }
        if !self.is_hex {
            return self.decoder.decode(fields, out);
        }
        self.clear();
        for (field, is_null) in fields.values() {
            let start = self.scratch.len();
            if !is_null {
                push_unhexed(&mut self.scratch, field).ok_or_else(|| unreadable("a value is not hexadecimal"))?;
            }
            self.push_range(start, is_null);
        }
        let fields = Fields { bytes: &self.scratch, starts: &self.starts, lengths: &self.lengths };
        self.decoder.decode(fields, out)
    }

    /// Gathers the elements of all lists, then decodes them as one column.
    fn read_lists(&mut self, mut item: Values, fields: Fields<'_>, out: &mut ColumnBuffer) -> Result<Values> {
        let ColumnBuffer { store: Store::List { offsets, items }, nulls, .. } = out else {
            return Ok(item);
        };
        self.clear();
        let base = items.nulls.len();
        for (field, is_null) in fields.values() {
            if is_null {
                nulls.append_null();
            } else {
                self.push_elements(field).ok_or_else(|| unreadable("a value is no list"))?;
                nulls.append_non_null();
            }
            offsets.push((base + self.starts.len()) as i32);
        }
        item.read(Fields { bytes: &self.scratch, starts: &self.starts, lengths: &self.lengths }, items)?;
        Ok(item)
    }

    fn clear(&mut self) {
        self.scratch.clear();
        self.starts.clear();
        self.lengths.clear();
    }

    fn push_range(&mut self, start: usize, is_null: bool) {
        self.starts.push(start as u32);
        self.lengths.push(if is_null { -1 } else { (self.scratch.len() - start) as i32 });
    }

    /// The elements of one list, `[1,null,"a"]`. None when it is not one.
    fn push_elements(&mut self, field: &[u8]) -> Option<()> {
        let mut rest = field.strip_prefix(b"[")?.strip_suffix(b"]")?;
        if rest.is_empty() {
            return Some(());
        }
        loop {
            let start = self.scratch.len();
            let length = if rest.first() == Some(&b'"') && !self.is_json {
                push_unescaped(&mut self.scratch, rest)?
            } else {
                let length = bare_length(rest);
                self.scratch.extend_from_slice(rest.get(..length)?);
                length
            };
            let is_null = rest.get(..length)? == b"null";
            self.met_json_null |= is_null && self.is_json;
            self.push_range(start, is_null);
            rest = match rest.get(length..)? {
                [] => return Some(()),
                [b',', rest @ ..] => rest,
                _ => return None,
            };
        }
    }
}

/// The length of an element that stands bare: to the next comma outside of strings and brackets.
fn bare_length(text: &[u8]) -> usize {
    let (mut depth, mut is_string, mut is_escaped) = (0usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Appends the JSON string that `text` begins with; returns its length with the quotes.
fn push_unescaped(out: &mut Vec<u8>, text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let byte = *text.get(at)?;
        at += 1;
        match byte {
            b'"' => return Some(at),
            b'\\' => {
                let escaped = *text.get(at)?;
                at += 1;
                match escaped {
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'u' => {
                        let digits = text.get(at..at + 4)?.strip_prefix(b"00")?;
                        push_unhexed(out, digits)?;
                        at += 4;
                    }
                    b'"' | b'\\' => out.push(escaped),
                    _ => return None,
                }
            }
            _ => out.push(byte),
        }
    }
}

fn push_unhexed(out: &mut Vec<u8>, digits: &[u8]) -> Option<()> {
    for pair in digits.chunks(2) {
        let [high, low] = pair else { return None };
        let nibble = |digit: &u8| (*digit as char).to_digit(16);
        out.push((nibble(high)? << 4 | nibble(low)?) as u8);
    }
    Some(())
}
