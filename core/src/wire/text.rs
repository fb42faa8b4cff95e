//! Values that came as text, parsed by the type of their column. Text that is not wholly a value of the type is refused.

use arrow_buffer::i256;

use super::{Fault, Parsed};
use crate::calendar::{US_PER_SECOND, to_days};
use crate::spec::Unit;

pub fn parse_bool(text: &[u8]) -> Parsed<bool> {
    match text {
        b"1" | b"t" | b"true" => Ok(true),
        b"0" | b"f" | b"false" => Ok(false),
        [] => Err(Fault::Malformed),
        _ if parse_i64(text).is_ok() => Err(Fault::Unrepresentable),
        _ => Err(Fault::Malformed),
    }
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn parse_digits(digits: &[u8]) -> Parsed<u64> {
    if digits.is_empty() {
        return Err(Fault::Malformed);
    }
    let mut value = 0u64;
    if digits.len() <= 19 {
        let (eights, rest) = digits.as_chunks::<8>();
        for eight in eights {
            let clean = clean_digits(u64::from_le_bytes(*eight), u64::MAX / 255 * 0x30, u64::MAX);
            value = value.wrapping_mul(100_000_000).wrapping_add(fold_eight(clean.ok_or(Fault::Malformed)?));
        }
        for byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Fault::Malformed);
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        return Ok(value);
    }
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Fault::Malformed);
        }
        value = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit))).ok_or(Fault::Unrepresentable)?;
    }
    Ok(value)
}

/// Eight bytes of text at once: what is left of each byte when `expected` is taken away, `'0'` where a digit stands. None when a byte is
/// no digit there, or is not the one that is expected.
#[inline(always)]
fn clean_digits(word: u64, expected: u64, digits: u64) -> Option<u64> {
    const HIGH: u64 = u64::MAX / 255 * 0x80;
    // Ten in a digit's byte, or one in another's, carries into the high bit.
    let carry = (u64::MAX / 255 * 0x76 & digits) | (u64::MAX / 255 * 0x7f & !digits);
    let clean = word ^ expected;
    ((clean | clean.wrapping_add(carry)) & HIGH == 0).then_some(clean)
}

/// The number that eight bytes of digits make, the first one foremost.
#[inline(always)]
fn fold_eight(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

pub fn parse_i64(text: &[u8]) -> Parsed<i64> {
    let (negative, digits) = split_sign(text);
    let value = match parse_digits(digits) {
        Ok(value) => value,
        Err(fault) => return parse_whole(text, fault),
    };
    if negative {
        0i64.checked_sub_unsigned(value).ok_or(Fault::Unrepresentable)
    } else {
        i64::try_from(value).map_err(|_| Fault::Unrepresentable)
    }
}

pub fn parse_u64(text: &[u8]) -> Parsed<u64> {
    let (negative, digits) = split_sign(text);
    match parse_digits(digits) {
        Ok(0) => Ok(0),
        Ok(_) if negative => Err(Fault::Unrepresentable),
        Ok(value) => Ok(value),
        Err(fault) => parse_whole(text, fault),
    }
}

/// A decimal whose fraction is zero is a whole number: `-5.00`. `fault` is what anything else is refused with.
#[cold]
fn parse_whole<T: TryFrom<i128>>(text: &[u8], fault: Fault) -> Parsed<T> {
    if !text.contains(&b'.') {
        return Err(fault);
    }
    T::try_from(parse_decimal128(text, 38, 0)?).map_err(|_| Fault::Unrepresentable)
}

pub fn parse_f64(text: &[u8]) -> Parsed<f64> {
    let value = parse_float_text(text)?.parse::<f64>().map_err(|_| Fault::Malformed)?;
    if value.is_infinite() && text.iter().any(u8::is_ascii_digit) {
        return Err(Fault::Unrepresentable);
    }
    Ok(value)
}

pub fn parse_f32(text: &[u8]) -> Parsed<f32> {
    let value = parse_float_text(text)?.parse::<f32>().map_err(|_| Fault::Malformed)?;
    if value.is_infinite() && text.iter().any(u8::is_ascii_digit) {
        return Err(Fault::Unrepresentable);
    }
    Ok(value)
}

fn parse_float_text(text: &[u8]) -> Parsed<&str> {
    std::str::from_utf8(text).map_err(|_| Fault::Malformed)
}

/// The digits of a decimal text around its point, and its exponent.
struct DecimalText<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

fn split_decimal(text: &[u8]) -> Parsed<DecimalText<'_>> {
    let (negative, text) = split_sign(text);
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        None => (text, 0),
        Some(at) => {
            let exponent = parse_i64(&text[at + 1..])?;
            (&text[..at], i32::try_from(exponent).map_err(|_| Fault::Unrepresentable)?)
        }
    };
    let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
        None => (mantissa, &[][..]),
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
    };
    let is_number = whole.iter().chain(fraction).all(u8::is_ascii_digit) && whole.len() + fraction.len() > 0;
    if !is_number || exponent.abs() > 100_000 {
        let is_special = matches!(text, b"NaN" | b"Infinity" | b"inf");
        return Err(if is_special || is_number { Fault::Unrepresentable } else { Fault::Malformed });
    }
    Ok(DecimalText { negative, whole, fraction, exponent })
}

/// Walks the digits that make the unscaled value: `digit(d)` for each. Digits below the scale must be zero.
fn walk_decimal(text: &DecimalText<'_>, scale: u8, mut digit: impl FnMut(u8) -> Parsed<()>) -> Parsed<()> {
    // The digit at index i has the power whole.len() - 1 - i + exponent.
    let lowest_power = -i64::from(scale);
    let mut power = text.whole.len() as i64 - 1 + i64::from(text.exponent);
    let mut started = false;
    for byte in text.whole.iter().chain(text.fraction) {
        let value = byte - b'0';
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
    while started && power >= lowest_power {
        digit(0)?;
        power -= 1;
    }
    Ok(())
}

/// The unscaled value of a decimal of at most 38 digits.
pub fn parse_decimal128(text: &[u8], precision: u8, scale: u8) -> Parsed<i128> {
    if let Some(value) = parse_plain_decimal(text, precision, scale) {
        return Ok(i128::from(value));
    }
    let parts = split_decimal(text)?;
    let mut value = 0i128;
    let mut digits = 0;
    walk_decimal(&parts, scale, |digit| {
        digits += 1;
        if digits > precision {
            return Err(Fault::Unrepresentable);
        }
        value = value * 10 + i128::from(digit);
        Ok(())
    })?;
    Ok(if parts.negative { -value } else { value })
}

/// The common case: sign, digits, point, at most `scale` digits, all within 18 digits. None for anything else.
fn parse_plain_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value = 0i64;
    let mut count = 0u8;
    let mut point_at = None;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            count += 1;
        } else if *byte == b'.' && point_at.is_none() {
            point_at = Some(count);
        } else {
            return None;
        }
    }
    let fraction = count - point_at.unwrap_or(count);
    let missing = scale.checked_sub(fraction)?;
    if count == 0 || count + missing > 18 {
        return None;
    }
    value *= POWERS_OF_TEN[missing as usize];
    if precision < 18 && value >= POWERS_OF_TEN[precision as usize] {
        return None;
    }
    Some(if negative { -value } else { value })
}

pub const POWERS_OF_TEN: [i64; 19] = {
    let mut powers = [1i64; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The unscaled value of a decimal of at most 76 digits.
pub fn parse_decimal256(text: &[u8], precision: u8, scale: u8) -> Parsed<i256> {
    let parts = split_decimal(text)?;
    let mut builder = Decimal256::new(precision);
    walk_decimal(&parts, scale, |digit| builder.push(digit))?;
    Ok(builder.finish(parts.negative))
}

/// Gathers digits eighteen at a time, so that wide arithmetic is rare.
pub struct Decimal256 {
    value: i256,
    chunk: i64,
    chunk_digits: usize,
    digits: u8,
    precision: u8,
}

impl Decimal256 {
    pub fn new(precision: u8) -> Self {
        Decimal256 { value: i256::ZERO, chunk: 0, chunk_digits: 0, digits: 0, precision }
    }

    /// Leading zeros must not be pushed: they count as digits.
    pub fn push(&mut self, digit: u8) -> Parsed<()> {
        if self.digits == self.precision {
            return Err(Fault::Unrepresentable);
        }
        self.digits += 1;
        self.chunk = self.chunk * 10 + i64::from(digit);
        self.chunk_digits += 1;
        if self.chunk_digits == 18 {
            self.fold();
        }
        Ok(())
    }

    fn fold(&mut self) {
        let power = i256::from_i128(i128::from(POWERS_OF_TEN[self.chunk_digits]));
        let chunk = i256::from_i128(i128::from(self.chunk));
        // 76 digits always fit 256 bits.
        self.value = self.value.wrapping_mul(power).wrapping_add(chunk);
        self.chunk = 0;
        self.chunk_digits = 0;
    }

    pub fn finish(mut self, negative: bool) -> i256 {
        self.fold();
        if negative { self.value.wrapping_neg() } else { self.value }
    }
}

/// Reads digits from the front of a text.
struct Scanner<'a> {
    text: &'a [u8],
}

impl Scanner<'_> {
    fn digits(&mut self, least: usize, most: usize) -> Parsed<u64> {
        let count = self.text.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        if count < least {
            return Err(Fault::Malformed);
        }
        let value = parse_digits(&self.text[..count])?;
        self.text = &self.text[count..];
        Ok(value)
    }

    fn take(&mut self, byte: u8) -> bool {
        if self.text.first() == Some(&byte) {
            self.text = &self.text[1..];
            return true;
        }
        false
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.take(byte) { Ok(()) } else { Err(Fault::Malformed) }
    }

    fn date(&mut self) -> Parsed<Result<i64, ZeroDate>> {
        let negative = self.take(b'-');
        self.take(b'+');
        let year = self.digits(4, 7)? as i64;
        self.expect(b'-')?;
        let month = self.digits(1, 2)? as u32;
        self.expect(b'-')?;
        let day = self.digits(1, 2)? as u32;
        if month == 0 || day == 0 {
            return Ok(Err(ZeroDate));
        }
        to_days(if negative { -year } else { year }, month, day).map(Ok).ok_or(Fault::Malformed)
    }

    /// Whole seconds and nanoseconds of `HH:MM:SS[.fffffffff]`.
    fn clock(&mut self, hour_digits: usize) -> Parsed<(i64, i64)> {
        let hours = self.digits(1, hour_digits)? as i64;
        self.expect(b':')?;
        let minutes = self.digits(2, 2)? as i64;
        let seconds = if self.take(b':') { self.digits(2, 2)? as i64 } else { 0 };
        if minutes > 59 || seconds > 59 {
            return Err(Fault::Malformed);
        }
        let ns = if self.take(b'.') { self.fraction()? } else { 0 };
        Ok((hours * 3600 + minutes * 60 + seconds, ns))
    }

    /// Nanoseconds of the digits after a point; digits below a nanosecond must be zero.
    fn fraction(&mut self) -> Parsed<i64> {
        let count = self.text.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(Fault::Malformed);
        }
        let kept = count.min(9);
        if self.text[kept..count].iter().any(|b| *b != b'0') {
            return Err(Fault::Unrepresentable);
        }
        let value = parse_digits(&self.text[..kept])? as i64;
        self.text = &self.text[count..];
        Ok(value * POWERS_OF_TEN[9 - kept])
    }

    /// Seconds east of UTC; None when the text has no offset.
    fn offset(&mut self) -> Parsed<Option<i64>> {
        while self.take(b' ') {}
        if self.text.is_empty() {
            return Ok(None);
        }
        if self.take(b'Z') || self.take(b'z') {
            return Ok(Some(0));
        }
        let sign = if self.take(b'-') {
            -1
        } else {
            self.expect(b'+')?;
            1
        };
        let hours = self.digits(2, 2)? as i64;
        let mut seconds = hours * 3600;
        if !self.text.is_empty() {
            self.take(b':');
            seconds += self.digits(2, 2)? as i64 * 60;
            if self.take(b':') {
                seconds += self.digits(2, 2)? as i64;
            }
        }
        Ok(Some(sign * seconds))
    }
}

struct ZeroDate;

fn to_units(ns: i64, unit: Unit) -> Parsed<i64> {
    match unit {
        Unit::Ns => Ok(ns),
        Unit::Us if ns % 1000 == 0 => Ok(ns / 1000),
        Unit::Us => Err(Fault::Unrepresentable),
    }
}

pub fn units_per_second(unit: Unit) -> i64 {
    match unit {
        Unit::Us => US_PER_SECOND,
        Unit::Ns => 1000 * US_PER_SECOND,
    }
}

/// Days of `YYYY-MM-DD`, the common case. None for anything else.
#[inline(always)]
fn parse_plain_date(text: &[u8; 10]) -> Option<i64> {
    let [head @ .., tens, ones] = text;
    let digits = 0x00ff_ff00_ffff_ffff;
    let clean = clean_digits(u64::from_le_bytes(*head), u64::from_le_bytes(*b"0000-00-"), digits)?;
    let pairs = clean.wrapping_mul(10).wrapping_add(clean >> 8);
    let pair = |at: u32| (pairs >> (8 * at)) as u32 & 0xff;
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 {
        return None;
    }
    to_days(i64::from(pair(0) * 100 + pair(2)), pair(5), u32::from(tens) * 10 + u32::from(ones))
}

/// Microseconds since the epoch of `YYYY-MM-DD HH:MM:SS` with at most six digits of fraction, the common case. None for anything else.
#[inline(always)]
fn parse_plain_timestamp(text: &[u8]) -> Option<i64> {
    let (date, clock) = text.split_first_chunk::<10>()?;
    let (clock, fraction) = clock.split_first_chunk::<9>()?;
    let [b' ', clock @ ..] = clock else { return None };
    let digits = 0xffff_00ff_ff00_ffff;
    let clean = clean_digits(u64::from_le_bytes(*clock), u64::from_le_bytes(*b"00:00:00"), digits)?;
    let pairs = clean.wrapping_mul(10).wrapping_add(clean >> 8);
    let pair = |at: u32| (pairs >> (8 * at)) as i64 & 0xff;
    let (hours, minutes, seconds) = (pair(0), pair(3), pair(6));
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let us = match fraction {
        [] => 0,
        [b'.', digits @ ..] if digits.len() <= 6 => parse_digits(digits).ok()? as i64 * POWERS_OF_TEN[6 - digits.len()],
        _ => return None,
    };
    let seconds = parse_plain_date(date)? * 86_400 + hours * 3600 + minutes * 60 + seconds;
    Some(seconds * US_PER_SECOND + us)
}

/// Days since 1970-01-01. A time of day after the date must be midnight.
pub fn parse_date(text: &[u8]) -> Parsed<i32> {
    if let Ok(plain) = <&[u8; 10]>::try_from(text)
        && let Some(days) = parse_plain_date(plain)
    {
        return Ok(days as i32);
    }
    let mut scanner = Scanner { text };
    let date = scanner.date()?;
    if !scanner.text.is_empty() {
        if !scanner.take(b' ') {
            scanner.expect(b'T')?;
        }
        if scanner.clock(2)? != (0, 0) {
            return Err(Fault::Unrepresentable);
        }
    }
    if !scanner.text.is_empty() {
        return Err(Fault::Malformed);
    }
    let days = date.map_err(|_| Fault::ZeroDate)?;
    i32::try_from(days).map_err(|_| Fault::Unrepresentable)
}

/// Units since midnight; a duration that is negative or beyond 24 hours is no time of day.
pub fn parse_time(text: &[u8], unit: Unit) -> Parsed<i64> {
    let mut scanner = Scanner { text };
    let negative = scanner.take(b'-');
    let (seconds, ns) = scanner.clock(4)?;
    if !scanner.text.is_empty() {
        return Err(Fault::Malformed);
    }
    let is_zero = seconds == 0 && ns == 0;
    if (negative && !is_zero) || seconds >= 86_400 {
        return Err(Fault::Unrepresentable);
    }
    Ok(seconds * units_per_second(unit) + to_units(ns, unit)?)
}

/// Units since the epoch. With an offset the instant is meant, which only a UTC timestamp can hold.
pub fn parse_timestamp(text: &[u8], unit: Unit, utc: bool) -> Parsed<i64> {
    if unit == Unit::Us
        && let Some(us) = parse_plain_timestamp(text)
    {
        return Ok(us);
    }
    parse_any_timestamp(text, unit, utc)
}

fn parse_any_timestamp(text: &[u8], unit: Unit, utc: bool) -> Parsed<i64> {
    let mut scanner = Scanner { text };
    let date = scanner.date()?;
    let (mut seconds, mut ns, mut offset) = (0, 0, None);
    if !scanner.text.is_empty() {
        if !scanner.take(b' ') {
            scanner.expect(b'T')?;
        }
        (seconds, ns) = scanner.clock(2)?;
        offset = scanner.offset()?;
    }
    if !scanner.text.is_empty() || seconds >= 86_400 {
        return Err(Fault::Malformed);
    }
    let days = date.map_err(|_| Fault::ZeroDate)?;
    if offset.is_some() && !utc {
        return Err(Fault::Unrepresentable);
    }
    let seconds = days * 86_400 + seconds - offset.unwrap_or(0);
    let fraction = to_units(ns, unit)?;
    // In i128: nanoseconds of the year 1677 underflow before the fraction is added.
    let units = i128::from(seconds) * i128::from(units_per_second(unit)) + i128::from(fraction);
    i64::try_from(units).map_err(|_| Fault::Unrepresentable)
}

/// Sixteen raw bytes, or the text of a UUID stored as bytes.
pub fn parse_uuid_bytes(bytes: &[u8]) -> Parsed<[u8; 16]> {
    <[u8; 16]>::try_from(bytes).or_else(|_| parse_uuid(bytes))
}

/// Hexadecimal text with or without hyphens and braces. Sixteen letters are no UUID.
pub fn parse_uuid(text: &[u8]) -> Parsed<[u8; 16]> {
    let text = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let hyphenated = text.len() == 36;
    if !hyphenated && text.len() != 32 {
        return Err(Fault::Malformed);
    }
    let mut uuid = [0u8; 16];
    let mut nibbles = 0;
    for (at, byte) in text.iter().enumerate() {
        if hyphenated && matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return Err(Fault::Malformed);
            }
            continue;
        }
        let nibble = (*byte as char).to_digit(16).ok_or(Fault::Malformed)? as u8;
        let slot = uuid.get_mut(nibbles / 2).ok_or(Fault::Malformed)?;
        *slot = (*slot << 4) | nibble;
        nibbles += 1;
    }
    Ok(uuid)
}

/// Big-endian bits, at most 64 of them.
pub fn parse_bits(bytes: &[u8]) -> Parsed<u64> {
    let mut value = 0u64;
    for byte in bytes {
        if value >> 56 != 0 {
            return Err(Fault::Unrepresentable);
        }
        value = (value << 8) | u64::from(*byte);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_whole_or_refused() {
        assert_eq!(parse_i64(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775808"), Err(Fault::Unrepresentable));
        assert_eq!(parse_u64(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), Err(Fault::Unrepresentable));
        assert_eq!(parse_u64(b"-1"), Err(Fault::Unrepresentable));
        for bad in [&b""[..], b"-", b".", b"1 ", b"abc", b"--1", b"1.x", b"1e3"] {
            assert_eq!(parse_i64(bad), Err(Fault::Malformed));
        }
        assert_eq!(parse_i64(b"-5.00"), Ok(-5));
        assert_eq!(parse_i64(b"-9223372036854775808.0"), Ok(i64::MIN));
        assert_eq!(parse_u64(b"18446744073709551615.000"), Ok(u64::MAX));
        assert_eq!(parse_u64(b"-0.0"), Ok(0));
        assert_eq!(parse_u64(b"-1.0"), Err(Fault::Unrepresentable));
        assert_eq!(parse_i64(b"1.5"), Err(Fault::Unrepresentable));
        assert_eq!(parse_i64(b"9223372036854775808.0"), Err(Fault::Unrepresentable));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(parse_decimal128(b"-12.3", 10, 2), Ok(-1230));
        assert_eq!(parse_decimal128(b"12.300", 10, 2), Ok(1230));
        assert_eq!(parse_decimal128(b"12.301", 10, 2), Err(Fault::Unrepresentable));
        assert_eq!(parse_decimal128(b"99999999.99", 10, 2), Ok(9_999_999_999));
        assert_eq!(parse_decimal128(b"100000000.00", 10, 2), Err(Fault::Unrepresentable));
        assert_eq!(parse_decimal128(b"1.5e3", 10, 2), Ok(150_000));
        assert_eq!(parse_decimal128(b"15e-1", 10, 2), Ok(150));
        assert_eq!(parse_decimal128(b".5", 10, 2), Ok(50));
        assert_eq!(parse_decimal128(b"0", 1, 1), Ok(0));
        assert_eq!(parse_decimal128(b"1", 1, 1), Err(Fault::Unrepresentable));
        assert_eq!(parse_decimal128(b"NaN", 10, 2), Err(Fault::Unrepresentable));
        assert_eq!(parse_decimal128(b"1e", 10, 2), Err(Fault::Malformed));
        assert_eq!(parse_decimal128(b".", 10, 2), Err(Fault::Malformed));
        let nines = [b'9'; 38];
        assert_eq!(parse_decimal128(&nines, 38, 0), Ok(10i128.pow(38) - 1));
        let many = [b'9'; 76];
        assert_eq!(parse_decimal256(&many, 76, 0).unwrap().to_string(), "9".repeat(76));
        assert_eq!(parse_decimal256(&[b'9'; 77], 76, 0), Err(Fault::Unrepresentable));
        assert_eq!(parse_decimal256(b"-1.25", 40, 3).unwrap().to_string(), "-1250");
    }

    #[test]
    fn times_and_dates_are_exact_or_refused() {
        assert_eq!(parse_date(b"1970-01-02"), Ok(1));
        assert_eq!(parse_date(b"1970-01-02 00:00:00"), Ok(1));
        assert_eq!(parse_date(b"1970-01-02 00:00:01"), Err(Fault::Unrepresentable));
        assert_eq!(parse_date(b"0000-00-00"), Err(Fault::ZeroDate));
        assert_eq!(parse_date(b"2026-02-30"), Err(Fault::Malformed));
        assert_eq!(parse_time(b"23:59:59.999999", Unit::Us), Ok(86_399_999_999));
        assert_eq!(parse_time(b"23:59:59.9999999", Unit::Us), Err(Fault::Unrepresentable));
        assert_eq!(parse_time(b"23:59:59.9999999", Unit::Ns), Ok(86_399_999_999_900));
        assert_eq!(parse_time(b"24:00:00", Unit::Us), Err(Fault::Unrepresentable));
        assert_eq!(parse_time(b"838:59:59", Unit::Us), Err(Fault::Unrepresentable));
        assert_eq!(parse_time(b"-00:00:01", Unit::Us), Err(Fault::Unrepresentable));
        assert_eq!(parse_timestamp(b"1970-01-01 00:00:01.5", Unit::Us, false), Ok(1_500_000));
        assert_eq!(parse_timestamp(b"1970-01-01T02:00:00+02:00", Unit::Us, true), Ok(0));
        assert_eq!(parse_timestamp(b"1970-01-01 02:00:00 +02:00", Unit::Us, false), Err(Fault::Unrepresentable));
        assert_eq!(parse_timestamp(b"0000-00-00 00:00:00", Unit::Us, false), Err(Fault::ZeroDate));
        assert_eq!(parse_timestamp(b"2020-00-01 00:00:00", Unit::Us, false), Err(Fault::ZeroDate));
        assert_eq!(parse_timestamp(b"1600-01-01 00:00:00", Unit::Ns, false), Err(Fault::Unrepresentable));
        assert_eq!(parse_timestamp(b"1677-09-21 00:12:43.145224192", Unit::Ns, false), Ok(i64::MIN));
        assert_eq!(parse_timestamp(b"yesterday", Unit::Us, false), Err(Fault::Malformed));
    }

    #[test]
    fn plain_dates_and_numbers_are_read_as_all_others() {
        for text in
            ["2024-02-29 23:59:59.999999", "0001-01-01 00:00:00", "9999-12-31 12:34:56.7", "1969-12-31 23:59:59.000001"]
        {
            let plain = parse_plain_timestamp(text.as_bytes());
            assert_eq!(plain, parse_any_timestamp(text.as_bytes(), Unit::Us, false).ok(), "{text}");
            assert!(plain.is_some(), "{text}");
        }
        let good = *b"2024-02-29 23:59:59.999999";
        for at in 0..good.len() {
            for byte in 0..=255u8 {
                let mut text = good;
                text[at] = byte;
                let any = parse_any_timestamp(&text, Unit::Us, false).ok();
                let plain = parse_plain_timestamp(&text);
                assert!(plain.is_none() || plain == any, "{}", String::from_utf8_lossy(&text));
            }
        }
        for at in 0..17 {
            for byte in 0..=255u8 {
                let mut text = *b"12345678901234567";
                text[at] = byte;
                let expected = std::str::from_utf8(&text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
                assert_eq!(parse_digits(&text).ok(), expected.and_then(|t| t.parse().ok()));
            }
        }
    }

    #[test]
    fn uuids_come_as_text_or_bytes() {
        let expected: [u8; 16] = std::array::from_fn(|i| i as u8 * 0x11);
        assert_eq!(parse_uuid(b"00112233-4455-6677-8899-aabbccddeeff"), Ok(expected));
        assert_eq!(parse_uuid(b"{00112233-4455-6677-8899-AABBCCDDEEFF}"), Ok(expected));
        assert_eq!(parse_uuid(b"00112233445566778899aabbccddeeff"), Ok(expected));
        assert_eq!(parse_uuid_bytes(b"00112233445566778899aabbccddeeff"), Ok(expected));
        assert_eq!(parse_uuid_bytes(&expected), Ok(expected));
        assert_eq!(parse_uuid_bytes(&[1, 2]), Err(Fault::Malformed));
        assert_eq!(parse_uuid(b"sixteen letters."), Err(Fault::Malformed));
        assert_eq!(parse_uuid(b"00112233-4455-6677-8899-aabbccddeef"), Err(Fault::Malformed));
        assert_eq!(parse_uuid(b"0011223344556677-8899-aabbccddeeff-0"), Err(Fault::Malformed));
    }
}
