//! How long to wait before trying again, and how long one try may take: pure, the randomness is passed in.

use std::time::Duration;

/// The first pause is at most this long; the bound doubles with each try.
pub const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// No pause is longer than this: an election is over in about a second, and then everyone waits for nothing.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The first try may take this part of the time that is left, so that a silent node leaves time for another.
pub const TRY_PART: u32 = 3;

/// But one try may always take this long, where so much time is left.
pub const SHORTEST_TRY: Duration = Duration::from_millis(500);

/// The pause before try number `tries` (1 is the first retry): "full jitter", evenly spread from zero to a bound that
/// doubles, since callers that failed together must not come back together. `chance` is in `[0, 1)`.
pub fn pause(tries: u32, chance: f64) -> Duration {
    let bound = FIRST_PAUSE * 2u32.saturating_pow(tries.saturating_sub(1).min(10));
    bound.min(LONGEST_PAUSE).mul_f64(chance.clamp(0.0, 1.0))
}

/// How long one try may take where `left` is left in all and everyone was asked in vain `rounds` times: ever larger
/// parts, since what is slow rather than silent would not be done in a smaller part either.
pub fn patience(left: Duration, rounds: u32) -> Duration {
    (left / TRY_PART.saturating_sub(rounds).max(1)).max(SHORTEST_TRY).min(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let bounds: Vec<u128> = (1..=6).map(|tries| pause(tries, 1.0).as_millis()).collect();
        assert_eq!(bounds, [20, 40, 80, 160, 250, 250]);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }

    #[test]
    fn the_whole_span_is_used() {
        assert_eq!(pause(3, 0.0), Duration::ZERO);
        assert_eq!(pause(3, 0.5), Duration::from_millis(40));
    }

    #[test]
    fn a_try_leaves_time_for_others_but_is_not_hasty() {
        let ms = Duration::from_millis;
        assert_eq!(patience(ms(6000), 0), ms(2000));
        assert_eq!(patience(ms(900), 0), ms(500));
        assert_eq!(patience(ms(300), 0), ms(300));
        assert_eq!(patience(ms(0), 0), ms(0));
    }

    #[test]
    fn patience_grows_with_the_rounds_up_to_all_that_is_left() {
        let six = Duration::from_secs(6);
        assert_eq!([0, 1, 2, 3, u32::MAX].map(|rounds| patience(six, rounds).as_secs()), [2, 3, 6, 6, 6]);
    }
}
