//! PostgreSQL's binary values: numeric, dates and clocks from 2000-01-01, intervals, arrays.

use arrow_buffer::i256;

use super::text::{Decimal256, POWERS_OF_TEN};
use super::{Fault, Parsed};
use crate::calendar::{US_PER_DAY, push_interval};

pub const EPOCH_DAYS: i32 = 10_957;
const EPOCH_US: i64 = EPOCH_DAYS as i64 * US_PER_DAY;

const NUMERIC_NEGATIVE: u16 = 0x4000;
const NUMERIC_NAN: u16 = 0xc000;
const NUMERIC_INFINITY: u16 = 0xd000;
const NUMERIC_MINUS_INFINITY: u16 = 0xf000;

#[inline(always)]
fn take<const N: usize>(bytes: &[u8]) -> Parsed<[u8; N]> {
    <[u8; N]>::try_from(bytes).map_err(|_| Fault::Malformed)
}

#[inline(always)]
pub fn parse_bool(bytes: &[u8]) -> Parsed<bool> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Fault::Malformed),
    }
}

#[inline(always)]
pub fn parse_int2(bytes: &[u8]) -> Parsed<i16> {
    take(bytes).map(i16::from_be_bytes)
}

#[inline(always)]
pub fn parse_int4(bytes: &[u8]) -> Parsed<i32> {
    take(bytes).map(i32::from_be_bytes)
}

#[inline(always)]
pub fn parse_int8(bytes: &[u8]) -> Parsed<i64> {
    take(bytes).map(i64::from_be_bytes)
}

pub fn parse_oid(bytes: &[u8]) -> Parsed<i64> {
    take(bytes).map(|raw| i64::from(u32::from_be_bytes(raw)))
}

#[inline(always)]
pub fn parse_float4(bytes: &[u8]) -> Parsed<f32> {
    take(bytes).map(f32::from_be_bytes)
}

#[inline(always)]
pub fn parse_float8(bytes: &[u8]) -> Parsed<f64> {
    take(bytes).map(f64::from_be_bytes)
}

#[inline(always)]
pub fn parse_uuid(bytes: &[u8]) -> Parsed<[u8; 16]> {
    take(bytes)
}

/// Days since 1970-01-01; infinity is no day.
#[inline(always)]
pub fn parse_date(bytes: &[u8]) -> Parsed<i32> {
    let days = parse_int4(bytes)?;
    if days == i32::MAX || days == i32::MIN {
        return Err(Fault::Unrepresentable);
    }
    days.checked_add(EPOCH_DAYS).ok_or(Fault::Unrepresentable)
}

/// Microseconds since 1970-01-01; infinity is no instant.
#[inline(always)]
pub fn parse_timestamp(bytes: &[u8]) -> Parsed<i64> {
    let us = parse_int8(bytes)?;
    if us == i64::MAX || us == i64::MIN {
        return Err(Fault::Unrepresentable);
    }
    us.checked_add(EPOCH_US).ok_or(Fault::Unrepresentable)
}

/// Microseconds since midnight. PostgreSQL's 24:00:00 is no time of a day for Arrow and Parquet.
pub fn parse_time(bytes: &[u8]) -> Parsed<i64> {
    match parse_clock(bytes)? {
        US_PER_DAY => Err(Fault::Unrepresentable),
        us => Ok(us),
    }
}

/// Microseconds since midnight, 24:00:00 included.
pub fn parse_clock(bytes: &[u8]) -> Parsed<i64> {
    let us = parse_int8(bytes)?;
    if (0..=US_PER_DAY).contains(&us) { Ok(us) } else { Err(Fault::Malformed) }
}

/// Appends the ISO 8601 duration.
pub fn append_interval(bytes: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
    let raw: [u8; 16] = take(bytes)?;
    let us = parse_int8(&raw[..8])?;
    let days = parse_int4(&raw[8..12])?;
    let months = parse_int4(&raw[12..])?;
    let is_infinite = |edge: bool| {
        if edge { (i64::MAX, i32::MAX, i32::MAX) } else { (i64::MIN, i32::MIN, i32::MIN) }
    };
    if (us, days, months) == is_infinite(true) || (us, days, months) == is_infinite(false) {
        return Err(Fault::Unrepresentable);
    }
    push_interval(out, months, days, us);
    Ok(())
}

/// A numeric value: groups of four decimal digits, the first weighing 10000^weight.
pub struct Numeric<'a> {
    groups: &'a [u8],
    weight: i32,
    sign: u16,
    display_scale: usize,
}

impl<'a> Numeric<'a> {
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Parsed<Self> {
        let Some((header, groups)) = bytes.split_first_chunk::<8>() else {
            return Err(Fault::Malformed);
        };
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if groups.len() != 2 * field(0) as usize {
            return Err(Fault::Malformed);
        }
        let numeric =
            Numeric { groups, weight: i32::from(field(2) as i16), sign: field(4), display_scale: field(6) as usize };
        match numeric.sign {
            0 | NUMERIC_NEGATIVE | NUMERIC_NAN | NUMERIC_INFINITY | NUMERIC_MINUS_INFINITY => Ok(numeric),
            _ => Err(Fault::Malformed),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self.sign, 0 | NUMERIC_NEGATIVE)
    }

    #[inline(always)]
    fn group(pair: &[u8]) -> u16 {
        u16::from_be_bytes([pair[0], pair[1]])
    }

    /// The unscaled value at `scale`, when it has at most `precision` digits and none is lost.
    #[inline(always)]
    pub fn to_decimal128(&self, precision: u8, scale: u8) -> Parsed<i128> {
        if let Some(value) = self.to_small(precision, scale) {
            return Ok(i128::from(value));
        }
        let mut value = 0i128;
        let mut digits = 0;
        self.walk(scale, |digit| {
            digits += 1;
            if digits > precision {
                return Err(Fault::Unrepresentable);
            }
            value = value * 10 + i128::from(digit);
            Ok(())
        })?;
        Ok(if self.sign == NUMERIC_NEGATIVE { -value } else { value })
    }

    /// The common case: at most four groups, fewer than 18 digits in all.
    #[inline(always)]
    fn to_small(&self, precision: u8, scale: u8) -> Option<i64> {
        if self.groups.len() > 8 || !self.is_number() {
            return None;
        }
        let mut value = 0i64;
        for pair in self.groups.chunks_exact(2) {
            value = value * 10_000 + i64::from(Self::group(pair));
        }
        // The value is `value` times ten to the power of the last group's position.
        let power = 4 * (self.weight + 1 - (self.groups.len() / 2) as i32) + i32::from(scale);
        if power >= 0 {
            let factor = POWERS_OF_TEN.get(power as usize)?;
            value = value.checked_mul(*factor)?;
        } else {
            let divisor = POWERS_OF_TEN.get(power.unsigned_abs() as usize)?;
            if value % divisor != 0 {
                return None;
            }
            value /= divisor;
        }
        if let Some(limit) = POWERS_OF_TEN.get(precision as usize)
            && value >= *limit
        {
            return None;
        }
        Some(if self.sign == NUMERIC_NEGATIVE { -value } else { value })
    }

    pub fn to_decimal256(&self, precision: u8, scale: u8) -> Parsed<i256> {
        let mut builder = Decimal256::new(precision);
        self.walk(scale, |digit| builder.push(digit as u8))?;
        Ok(builder.finish(self.sign == NUMERIC_NEGATIVE))
    }

    /// Hands out the digits of the unscaled value without leading zeros; digits below the scale must be zero.
    fn walk(&self, scale: u8, mut digit: impl FnMut(u16) -> Parsed<()>) -> Parsed<()> {
        if !self.is_number() {
            return Err(Fault::Unrepresentable);
        }
        let lowest_power = -i32::from(scale);
        let mut power = 4 * self.weight + 3;
        let mut started = false;
        for pair in self.groups.chunks_exact(2) {
            let group = Self::group(pair);
            if group > 9999 {
                return Err(Fault::Malformed);
            }
            for divisor in [1000, 100, 10, 1] {
                let value = group / divisor % 10;
                if power < lowest_power {
                    if value != 0 {
                        return Err(Fault::Unrepresentable);
                    }
                } else if started || value != 0 {
                    started = true;
                    digit(value)?;
                }
                power -= 1;
            }
        }
        while started && power >= lowest_power {
            digit(0)?;
            power -= 1;
        }
        Ok(())
    }

    /// Appends the text as the server prints it, `NaN` and `Infinity` included.
    pub fn append_text(&self, out: &mut Vec<u8>) -> Parsed<()> {
        let special: &[u8] = match self.sign {
            NUMERIC_NAN => b"NaN",
            NUMERIC_INFINITY => b"Infinity",
            NUMERIC_MINUS_INFINITY => b"-Infinity",
            _ => b"",
        };
        if !special.is_empty() {
            out.extend_from_slice(special);
            return Ok(());
        }
        if self.sign == NUMERIC_NEGATIVE {
            out.push(b'-');
        }
        if self.groups.chunks_exact(2).any(|pair| Self::group(pair) > 9999) {
            return Err(Fault::Malformed);
        }
        let group_at = |weight: i32| -> u16 {
            let index = self.weight - weight;
            let at = usize::try_from(index).ok().and_then(|i| self.groups.get(2 * i..2 * i + 2));
            at.map_or(0, Self::group)
        };
        if self.weight < 0 {
            out.push(b'0');
        } else {
            let start = out.len();
            for weight in (0..=self.weight).rev() {
                push_group(out, group_at(weight));
            }
            let zeros = out[start..out.len() - 1].iter().take_while(|b| **b == b'0').count();
            out.drain(start..start + zeros);
        }
        if self.display_scale > 0 {
            out.push(b'.');
            let end = out.len() + self.display_scale;
            let mut weight = -1;
            while out.len() < end {
                push_group(out, group_at(weight));
                weight -= 1;
            }
            out.truncate(end);
        }
        Ok(())
    }
}

fn push_group(out: &mut Vec<u8>, group: u16) {
    for divisor in [1000, 100, 10, 1] {
        out.push(b'0' + (group / divisor % 10) as u8);
    }
}

/// Where the elements of a one-dimensional array lie: `element(start, length)`, relative to `bytes`. Returns their number.
pub fn walk_array(bytes: &[u8], mut element: impl FnMut(usize, i32)) -> Parsed<usize> {
    let field = |at: usize| -> Parsed<i32> { parse_int4(bytes.get(at..at + 4).unwrap_or_default()) };
    let dimensions = field(0)?;
    let header = field(4).and(field(8));
    match dimensions {
        0 => return header.map(|_| 0),
        1 => {}
        2..=6 => return Err(Fault::Unrepresentable),
        _ => return Err(Fault::Malformed),
    }
    header?;
    let count = usize::try_from(field(12)?).map_err(|_| Fault::Malformed)?;
    field(16)?;
    let mut at = 20;
    for _ in 0..count {
        let length = field(at)?;
        at += 4;
        element(at, length);
        if length >= 0 {
            at += length as usize;
            if at > bytes.len() {
                return Err(Fault::Malformed);
            }
        } else if length != -1 {
            return Err(Fault::Malformed);
        }
    }
    if at == bytes.len() { Ok(count) } else { Err(Fault::Malformed) }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Encodes a decimal text as the server would.
    pub fn encode_numeric(text: &str) -> Vec<u8> {
        let special = |sign: u16| [0u16, 0, sign, 0].iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
        match text {
            "NaN" => return special(NUMERIC_NAN),
            "Infinity" => return special(NUMERIC_INFINITY),
            "-Infinity" => return special(NUMERIC_MINUS_INFINITY),
            _ => {}
        }
        let (sign, digits) = text.strip_prefix('-').map_or((0, text), |rest| (NUMERIC_NEGATIVE, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded = format!("{whole}{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut groups: Vec<u16> =
            padded.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap().parse().unwrap()).collect();
        let mut weight = (whole.len() / 4) as i16 - 1;
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let mut out = Vec::new();
        for field in [groups.len() as u16, weight as u16, sign, fraction.len() as u16] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        groups.iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
        out
    }

    fn to_text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Numeric::parse(bytes).and_then(|n| n.append_text(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numerics_become_the_same_text_and_decimal() {
        let texts =
            ["0", "0.00", "1", "-1", "12345.6789", "0.0001", "-0.00010", "100000000", "99999999.99", "10000.0001"];
        for text in texts {
            let raw = encode_numeric(text);
            assert_eq!(to_text(&raw), text);
            let expected = crate::wire::text::parse_decimal128(text.as_bytes(), 20, 5).unwrap();
            assert_eq!(Numeric::parse(&raw).unwrap().to_decimal128(20, 5), Ok(expected), "{text}");
            let wide = Numeric::parse(&raw).unwrap().to_decimal256(60, 5).unwrap();
            assert_eq!(wide.to_i128(), Some(expected), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity"] {
            let raw = encode_numeric(text);
            assert_eq!(to_text(&raw), text);
            assert_eq!(Numeric::parse(&raw).unwrap().to_decimal128(20, 5), Err(Fault::Unrepresentable));
        }
    }

    #[test]
    fn numerics_keep_every_digit_or_are_refused() {
        let long = "9".repeat(36) + ".99";
        let raw = encode_numeric(&long);
        assert_eq!(Numeric::parse(&raw).unwrap().to_decimal128(38, 2), Ok(10i128.pow(38) - 1));
        assert_eq!(Numeric::parse(&raw).unwrap().to_decimal128(37, 2), Err(Fault::Unrepresentable));
        assert_eq!(Numeric::parse(&raw).unwrap().to_decimal128(38, 1), Err(Fault::Unrepresentable));
        let widest = "9".repeat(76);
        let raw = encode_numeric(&widest);
        assert_eq!(Numeric::parse(&raw).unwrap().to_decimal256(76, 0).unwrap().to_string(), widest);
        assert_eq!(Numeric::parse(&encode_numeric("1.005")).unwrap().to_decimal128(10, 2), Err(Fault::Unrepresentable));
        assert_eq!(
            Numeric::parse(&encode_numeric("100000000")).unwrap().to_decimal128(10, 2),
            Err(Fault::Unrepresentable)
        );
    }

    #[test]
    fn infinity_is_no_date() {
        assert_eq!(parse_date(&i32::MAX.to_be_bytes()), Err(Fault::Unrepresentable));
        assert_eq!(parse_timestamp(&i64::MIN.to_be_bytes()), Err(Fault::Unrepresentable));
        assert_eq!(parse_date(&0i32.to_be_bytes()), Ok(10_957));
        assert_eq!(parse_timestamp(&0i64.to_be_bytes()), Ok(946_684_800_000_000));
    }
}
