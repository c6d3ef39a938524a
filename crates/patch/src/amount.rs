//! Numbers and percentages: the arithmetic is defined here and nowhere else.
//!
//! | where | percentage of | rounded | at least |
//! |---|---|---|---|
//! | size of a wave | the hosts of the policy | down | 1 |
//! | `max_unavailable` | the hosts of the group | down | 1 |
//! | `min_available` | the hosts of the group | up | 0 |
//! | `max_failures` | the hosts of the wave, or of the plan | down | 0 |
//! | `parallel` | the hosts of the wave | down | 1 |

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of hosts, or a percentage of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred, 0 to 100.
    Percent(u32),
}

/// What happens to the part of a host that a percentage leaves over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Round {
    /// It does not count.
    Down,
    /// It counts as a whole one.
    Up,
}

/// A percentage of `of`. The one place where percentages become integers.
pub fn percent_of(percent: u32, of: u32, round: Round) -> u32 {
    let hundredths = u64::from(percent.min(100)) * u64::from(of);
    let whole = match round {
        Round::Down => hundredths / 100,
        Round::Up => hundredths.div_ceil(100),
    };
    // At most `of`, since the percentage is at most 100.
    u32::try_from(whole).unwrap_or(of)
}

impl Amount {
    /// As an integer, for a whole of `of` hosts.
    pub fn of(self, of: u32, round: Round) -> u32 {
        match self {
            Amount::Count(count) => count,
            Amount::Percent(percent) => percent_of(percent, of, round),
        }
    }

    /// How many hosts of a group of `of` may be unavailable, if this is its `max_unavailable`.
    pub fn max_unavailable(self, of: u32) -> u32 {
        match self {
            Amount::Count(count) => count.min(of),
            Amount::Percent(_) => self.of(of, Round::Down).max(1).min(of),
        }
    }

    /// How many hosts of a group of `of` may be unavailable, if this is its `min_available`.
    pub fn min_available(self, of: u32) -> u32 {
        of.saturating_sub(self.of(of, Round::Up))
    }

    /// How many failures are allowed in a scope of `of` hosts: one more halts.
    pub fn max_failures(self, of: u32) -> u32 {
        self.of(of, Round::Down)
    }

    /// How many hosts: at least one if there are any.
    pub fn hosts(self, of: u32) -> u32 {
        self.of(of, Round::Down).max(1).min(of)
    }
}

impl std::str::FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits.trim_end(), true),
            None => (text, false),
        };
        let number = digits
            .parse::<u32>()
            .ok()
            .filter(|_| digits.bytes().all(|it| it.is_ascii_digit()))
            .ok_or_else(|| "a number of hosts (`2`) or a whole percentage (`10%`)".to_owned())?;
        match (percent, number) {
            (true, 101..) => Err("a percentage is at most 100%".into()),
            (true, _) => Ok(Amount::Percent(number)),
            (false, _) => Ok(Amount::Count(number)),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(count) => write!(f, "{count}"),
            Amount::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Amount::Count(count) => to.serialize_u32(*count),
            Amount::Percent(_) => to.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Text(String),
        }
        match Written::deserialize(from)? {
            Written::Count(count) => Ok(Amount::Count(count)),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "format": "amount"},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every figure against the definition in whole hundredths, without the function's own arithmetic.
    #[test]
    fn percentages_of_1_to_200_hosts() {
        for n in 1..=200_u32 {
            for percent in 0..=100_u32 {
                let down = percent_of(percent, n, Round::Down);
                let up = percent_of(percent, n, Round::Up);
                assert!(down * 100 <= percent * n && (down + 1) * 100 > percent * n);
                assert!(up * 100 >= percent * n && (up == 0 || (up - 1) * 100 < percent * n));
                let amount = Amount::Percent(percent);
                assert_eq!(amount.max_unavailable(n), down.max(1));
                assert_eq!(amount.min_available(n), n - up);
                assert_eq!(amount.max_failures(n), down);
                assert_eq!(amount.hosts(n), down.max(1));
            }
        }
    }

    #[test]
    fn the_figures_that_systems_disagree_on() {
        // 10 % of 50 allow five failures: the sixth halts.
        assert_eq!(Amount::Percent(10).max_failures(50), 5);
        assert_eq!(Amount::Percent(2).max_failures(150), 3);
        assert_eq!(Amount::Percent(2).max_failures(49), 0);
        // 20 % of 21 hosts may be away: four; of two hosts: still one.
        assert_eq!(Amount::Percent(20).max_unavailable(21), 4);
        assert_eq!(Amount::Percent(20).max_unavailable(2), 1);
        // Nothing may be away if somebody says so with a number.
        assert_eq!(Amount::Count(0).max_unavailable(2), 0);
        // 51 % of 3 are two: one may be away; 51 % of 4 are three.
        assert_eq!(Amount::Percent(51).min_available(3), 1);
        assert_eq!(Amount::Percent(51).min_available(4), 1);
        assert_eq!(Amount::Count(3).min_available(2), 0);
        assert_eq!(Amount::Count(500).hosts(20), 20);
        assert_eq!(Amount::Percent(10).hosts(0), 0);
    }

    #[test]
    fn texts() {
        assert_eq!("10%".parse(), Ok(Amount::Percent(10)));
        assert_eq!(" 3 ".parse(), Ok(Amount::Count(3)));
        for wrong in ["", "%", "-1", "1.5%", "101%", "+3", "ten", "4294967296"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
    }
}
