//! When two values are the same value to Python, and so one pair.

use collectors::datapoint::Value;

/// A value in the one form that all its equals share: numbers are equal by value, whatever their form, and
/// text equals only text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Equality<'a> {
    /// An integer, or a float without a fraction that is in an `i64`'s range.
    Int(i64),
    /// The same above `i64::MAX`.
    Uint(u64),
    /// The bits of any other float.
    Float(u64),
    Text(&'a str),
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

impl<'a> Equality<'a> {
    pub(super) fn of(value: &'a Value<'_>) -> Self {
        match value {
            Value::Int(int) => Self::Int(*int),
            Value::Uint(uint) => Self::Uint(*uint),
            Value::Float(float) => Self::of_float(float.get()),
            Value::Text(text) => Self::Text(text),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range, or compared"
    )]
    #[expect(clippy::cast_precision_loss, reason = "the float is compared with what it became")]
    fn of_float(float: f64) -> Self {
        if (-TWO_POW_63..TWO_POW_63).contains(&float) {
            let int = float as i64;
            if int as f64 == float {
                return Self::Int(int);
            }
        } else if (TWO_POW_63..TWO_POW_64).contains(&float) {
            // So large a float has no fraction.
            return Self::Uint(float as u64);
        }
        Self::Float(float.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_as_in_python() {
        let float = |number| Value::float(number).expect("finite");
        let is_same = |one: Value<'_>, other: Value<'_>| Equality::of(&one) == Equality::of(&other);
        for (int, number) in [(1, 1.0), (0, -0.0), (-5, -5.0), (1 << 53, 2_f64.powi(53))] {
            assert!(is_same(Value::Int(int), float(number)), "{int}");
        }
        assert!(is_same(Value::Int(i64::MIN), float(-TWO_POW_63)));
        assert!(is_same(Value::Uint(1 << 63), float(TWO_POW_63)));
        // 2⁵³ + 1, 2⁶³ - 1 and 2⁶⁴ - 1 have no float: comparing after a conversion would call them equal.
        assert!(!is_same(Value::Int((1 << 53) + 1), float(2_f64.powi(53))));
        assert!(!is_same(Value::Int(i64::MAX), float(TWO_POW_63)));
        assert!(!is_same(Value::Uint(u64::MAX), float(TWO_POW_64)));
        assert!(!is_same(Value::Int(1), float(1.5)));
        assert!(!is_same(Value::Int(1), Value::Text("1".into())));
        assert!(is_same(float(1e300), float(1e300)));
    }
}
