//! Integers as PyYAML writes them: binary, octal, hexadecimal, base sixty, of any size.

use std::fmt::Write;

use hostler_value::Value;

use crate::limits::INT_DIGITS_MAX;

/// The integer that `text` stands for by PyYAML's rules, or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is not an integer");
    let clean = text.replace('_', "");
    let (negative, digits) = match clean.as_bytes().first() {
        Some(b'-') => (true, &clean[1..]),
        Some(b'+') => (false, &clean[1..]),
        _ => (false, clean.as_str()),
    };
    if digits.len() > INT_DIGITS_MAX {
        return Err(format!(
            "this integer has more than {INT_DIGITS_MAX} digits"
        ));
    }
    let magnitude = if let Some(binary) = digits.strip_prefix("0b") {
        from_radix(binary, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        from_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        from_radix(&digits[1..], 8)
    } else if digits.contains(':') {
        base_sixty(digits)
    } else {
        from_radix(digits, 10)
    };
    let magnitude = magnitude.ok_or_else(wrong)?;
    let signed = if negative && magnitude != "0" {
        format!("-{magnitude}")
    } else {
        magnitude
    };
    Ok(match signed.parse::<i64>() {
        Ok(int) => Value::Int(int),
        Err(_) => Value::BigInt(signed.into()),
    })
}

fn base_sixty(digits: &str) -> Option<String> {
    let mut number = Decimal::default();
    for part in digits.split(':') {
        let part: u32 = part.parse().ok()?;
        number.push(60, part);
    }
    Some(number.text())
}

fn from_radix(digits: &str, radix: u32) -> Option<String> {
    if digits.is_empty() {
        return None;
    }
    let mut number = Decimal::default();
    for digit in digits.chars() {
        number.push(radix, digit.to_digit(radix)?);
    }
    Some(number.text())
}

/// A natural number in base 10^9, least part first.
#[derive(Default)]
struct Decimal(Vec<u32>);

const PART: u64 = 1_000_000_000;

impl Decimal {
    /// `self * factor + digit`
    fn push(&mut self, factor: u32, digit: u32) {
        let mut carry = u64::from(digit);
        for part in &mut self.0 {
            let next = u64::from(*part) * u64::from(factor) + carry;
            *part = narrow(next % PART);
            carry = next / PART;
        }
        while carry > 0 {
            self.0.push(narrow(carry % PART));
            carry /= PART;
        }
    }

    fn text(&self) -> String {
        let mut parts = self.0.iter().rev();
        let mut text = parts.next().map_or_else(|| "0".into(), u32::to_string);
        for part in parts {
            let _ = write!(text, "{part:09}");
        }
        text
    }
}

fn narrow(part: u64) -> u32 {
    u32::try_from(part).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn all_bases_and_sizes() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("010", "8"),
            ("+0x_ff", "255"),
            ("-0b1_01", "-5"),
            ("12:30:45", "45045"),
            ("190:20:30", "685230"),
            ("1_000", "1000"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "9223372036854775808"),
            (
                "0xffffffffffffffffffffffffffffffffff",
                "87112285931760246646623899502532662132735",
            ),
            (
                "1000000000000000000000000000",
                "1000000000000000000000000000",
            ),
        ] {
            assert_eq!(parse(text).map(|it| it.to_text()).as_deref(), Ok(expected));
        }
        assert!(parse("0b_").is_err());
        assert!(parse("08").is_err());
        assert!(parse(&"9".repeat(5000)).is_err());
    }
}
