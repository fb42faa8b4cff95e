//! Days, clock times and their ISO 8601 text. Years run over the whole range of 32-bit days, proleptic Gregorian.

pub const US_PER_SECOND: i64 = 1_000_000;
pub const US_PER_DAY: i64 = 86_400 * US_PER_SECOND;

/// Days since 1970-01-01, or None when there is no such day.
pub fn to_days(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_index = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a day since 1970-01-01.
pub fn to_date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub fn push_digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut left = value;
    let mut at = digits.len();
    while left > 0 {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width.min(digits.len()))..]);
}

/// `YYYY-MM-DD`; years outside 0–9999 carry a sign and as many digits as they need.
pub fn push_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = to_date(days);
    if year < 0 {
        out.push(b'-');
    } else if year > 9999 {
        out.push(b'+');
    }
    push_digits(out, year.unsigned_abs(), 4);
    out.push(b'-');
    push_digits(out, u64::from(month), 2);
    out.push(b'-');
    push_digits(out, u64::from(day), 2);
}

/// `HH:MM:SS.fff…` with `digits` digits of fraction; `units` is since midnight, `10^digits` a second.
pub fn push_time(out: &mut Vec<u8>, units: i64, digits: usize) {
    if units < 0 {
        out.push(b'-');
    }
    let per_second = 10u64.pow(digits as u32);
    let units = units.unsigned_abs();
    let (seconds, fraction) = (units / per_second, units % per_second);
    push_digits(out, seconds / 3600, 2);
    out.push(b':');
    push_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    push_digits(out, seconds % 60, 2);
    out.push(b'.');
    push_digits(out, fraction, digits);
}

/// `YYYY-MM-DDTHH:MM:SS.fff…`, with `Z` when `utc`.
pub fn push_timestamp(out: &mut Vec<u8>, units: i64, digits: usize, utc: bool) {
    let per_day = 86_400 * 10i64.pow(digits as u32);
    push_date(out, units.div_euclid(per_day));
    out.push(b'T');
    push_time(out, units.rem_euclid(per_day), digits);
    if utc {
        out.push(b'Z');
    }
}

/// The ISO 8601 duration of a PostgreSQL interval: zero is `PT0S`, each part carries its own sign.
pub fn push_interval(out: &mut Vec<u8>, months: i32, days: i32, us: i64) {
    let start = out.len();
    out.push(b'P');
    push_part(out, i64::from(months / 12), b'Y');
    push_part(out, i64::from(months % 12), b'M');
    push_part(out, i64::from(days), b'D');
    if us != 0 {
        out.push(b'T');
        let seconds = us / US_PER_SECOND;
        push_part(out, seconds / 3600, b'H');
        push_part(out, seconds / 60 % 60, b'M');
        push_seconds(out, seconds % 60, us % US_PER_SECOND);
    }
    if out.len() == start + 1 {
        out.extend_from_slice(b"T0S");
    }
}

fn push_part(out: &mut Vec<u8>, value: i64, unit: u8) {
    if value == 0 {
        return;
    }
    if value < 0 {
        out.push(b'-');
    }
    push_digits(out, value.unsigned_abs(), 1);
    out.push(unit);
}

fn push_seconds(out: &mut Vec<u8>, seconds: i64, us: i64) {
    if seconds == 0 && us == 0 {
        return;
    }
    if seconds < 0 || us < 0 {
        out.push(b'-');
    }
    push_digits(out, seconds.unsigned_abs(), 1);
    if us != 0 {
        out.push(b'.');
        push_digits(out, us.unsigned_abs(), 6);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'S');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(months: i32, days: i32, us: i64) -> String {
        let mut out = Vec::new();
        push_interval(&mut out, months, days, us);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_and_dates_are_inverse_over_millennia() {
        for days in (-800_000_000..800_000_000i64).step_by(9973) {
            let (year, month, day) = to_date(days);
            assert_eq!(to_days(year, month, day), Some(days));
        }
        assert_eq!(to_days(2000, 2, 29), Some(11_016));
        assert_eq!(to_days(1900, 2, 29), None);
        assert_eq!(to_days(2026, 13, 1), None);
    }

    #[test]
    fn text_of_edges_is_iso() {
        let mut out = Vec::new();
        push_timestamp(&mut out, -1, 6, true);
        out.push(b' ');
        push_date(&mut out, -719_528 - 1);
        out.push(b' ');
        push_date(&mut out, 2_932_897);
        assert_eq!(String::from_utf8(out).unwrap(), "1969-12-31T23:59:59.999999Z -0001-12-31 +10000-01-01");
    }

    #[test]
    fn intervals_keep_the_sign_of_each_part() {
        assert_eq!(interval(0, 0, 0), "PT0S");
        assert_eq!(interval(14, 3, 90_061_000_000), "P1Y2M3DT25H1M1S");
        assert_eq!(interval(-14, 0, -90_061_500_000), "P-1Y-2MT-25H-1M-1.5S");
        assert_eq!(interval(0, 0, -1), "PT-0.000001S");
        assert_eq!(interval(0, 1, 0), "P1D");
    }
}
