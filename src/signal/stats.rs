//! The arithmetic of small counts: how surprising a count is, which surprises survive many looks, and whether a
//! rate changed.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF, DiscreteCDF, NegativeBinomial, Poisson};

/// The chance to see `k` or more when the rate is uncertain: Gamma-Poisson, which is negative binomial with `r = a`
/// and success probability `beta / (1 + beta)`. 1 when the parameters make no distribution: what cannot be
/// computed surprises nobody.
#[must_use]
pub fn surprise(k: u64, a: f64, beta: f64) -> f64 {
    let Some(below) = k.checked_sub(1) else {
        return 1.0;
    };
    NegativeBinomial::new(a, beta / (1.0 + beta)).map_or(1.0, |nb| nb.sf(below))
}

/// The chance that a share lies above `limit`, after `hits` of `of` were seen and with the given Beta prior.
#[must_use]
pub fn share_above(limit: f64, hits: u32, of: u32, prior: (f64, f64)) -> f64 {
    let misses = f64::from(of.saturating_sub(hits));
    Beta::new(prior.0 + f64::from(hits), prior.1 + misses).map_or(0.0, |b| b.sf(limit))
}

/// The largest of the `p` that Benjamini and Hochberg (1995) reject at `q` when `looks` cells were looked at; cells
/// that are not in `p` count as 1. Nested cells depend on each other positively, for which the bound still holds.
/// Nothing when none is rejected.
#[must_use]
pub fn rejected_up_to(p: &[f64], q: f64, looks: usize) -> Option<f64> {
    let mut sorted = p.to_vec();
    sorted.sort_by(f64::total_cmp);
    let limit = |rank: usize| q * (rank + 1) as f64 / looks.max(1) as f64;
    let rejected = sorted.iter().enumerate().rev();
    rejected
        .into_iter()
        .find_map(|(rank, p)| (*p <= limit(rank)).then_some(*p))
}

/// The adjusted p of Benjamini and Hochberg, in the order of `p`: the smallest `q` at which each is rejected.
#[must_use]
pub fn adjusted(p: &[f64], looks: usize) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|x, y| x.1.total_cmp(&y.1).then(x.0.cmp(&y.0)));
    let mut least = 1.0_f64;
    let mut q: Vec<(usize, f64)> = Vec::with_capacity(p.len());
    for (rank, (at, p)) in order.into_iter().enumerate().rev() {
        least = least.min(p * looks.max(1) as f64 / (rank + 1) as f64);
        q.push((at, least));
    }
    q.sort_unstable_by_key(|(at, _)| *at);
    q.into_iter().map(|(_, q)| q).collect()
}

/// How far `k` speaks against `mu`, in nats: the log likelihood ratio of a Poisson count whose rate is its own
/// against one with mean `mu`. Negative below it.
#[must_use]
pub fn likelihood_ratio(k: f64, mu: f64) -> f64 {
    if k <= 0.0 {
        return -mu;
    }
    let ratio = k * (k / mu).ln() - (k - mu);
    if k < mu { -ratio } else { ratio }
}

/// A number to six digits: what is written down is read back as the same bytes, and does not depend on the last bit of
/// a machine's logarithm.
#[must_use]
pub fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

/// A number with the interval it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end; nothing where it has none.
    pub high: Option<f64>,
}

impl Interval {
    /// Its ends to six digits, each divided by `by`.
    pub(crate) fn over(self, by: f64) -> Self {
        Self {
            low: rounded(self.low / by),
            high: self.high.map(|high| rounded(high / by)),
        }
    }
}

/// The ratio of two Poisson rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateRatio {
    /// After over before; nothing when nothing was seen before.
    pub ratio: Option<f64>,
    /// Its exact interval.
    pub interval: Interval,
}

/// Rate `after` over rate `before`, each a count and the weeks it was seen in, with an exact interval of the given
/// confidence: given their sum, one count is binomial (Przyborowski and Wilenski 1940), and its share has the interval
/// of Clopper and Pearson (1934).
#[must_use]
pub fn rate_ratio(before: (u64, f64), after: (u64, f64), confidence: f64) -> RateRatio {
    let tail = (1.0 - confidence) / 2.0;
    let (x, y) = (after.0 as f64, before.0 as f64);
    let scale = before.1 / after.1;
    let odds = |share: f64| share / (1.0 - share) * scale;
    let quantile = |a: f64, b: f64, at: f64| Beta::new(a, b).ok().map(|d| beta_quantile(&d, at));
    let low = if after.0 == 0 {
        0.0
    } else {
        quantile(x, y + 1.0, tail).map_or(0.0, odds)
    };
    let high = if before.0 == 0 {
        None
    } else {
        quantile(x + 1.0, y, 1.0 - tail).map(odds)
    };
    RateRatio {
        ratio: (before.0 > 0).then(|| x / y * scale),
        interval: Interval { low, high },
    }
}

/// By halving: slower than a root finder, and right to the last bits for every shape.
fn beta_quantile(beta: &Beta, at: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if beta.cdf(middle) < at {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The interval of the given confidence in which a Poisson mean lies after `k` was seen, exact (Garwood 1936), by
/// halving of the Gamma quantiles.
#[must_use]
pub fn mean_interval(k: u64, confidence: f64) -> Interval {
    use statrs::distribution::Gamma;
    let tail = (1.0 - confidence) / 2.0;
    let quantile = |shape: f64, at: f64| {
        Gamma::new(shape, 1.0).map_or(shape, |gamma| {
            let (mut low, mut high) = (0.0_f64, 20.0_f64.max(shape * 4.0) + 40.0);
            for _ in 0..200 {
                let middle = f64::midpoint(low, high);
                if gamma.cdf(middle) < at {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            f64::midpoint(low, high)
        })
    };
    Interval {
        low: if k == 0 {
            0.0
        } else {
            quantile(k as f64, tail)
        },
        high: Some(quantile(k as f64 + 1.0, 1.0 - tail)),
    }
}

/// The interval of the given confidence in which a share lies, after `hits` of `of` were seen and with the given Beta
/// prior.
#[must_use]
pub fn share_interval(hits: u64, of: u64, prior: (f64, f64), confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let misses = of.saturating_sub(hits) as f64;
    Beta::new(prior.0 + hits as f64, prior.1 + misses).map_or((0.0, 1.0), |b| {
        (beta_quantile(&b, tail), beta_quantile(&b, 1.0 - tail))
    })
}

/// The band of the given confidence for a count of which `seen` came in `blocks` such times before: the predictive
/// distribution of a Gamma-Poisson count. Its mean, the least and the largest count within it.
#[must_use]
pub fn expected_band(seen: u64, blocks: f64, prior: f64, confidence: f64) -> (f64, f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let (a, beta) = (prior + seen as f64, prior + blocks);
    let mean = a / beta;
    let mut low = 0;
    while surprise(low + 1, a, beta) >= 1.0 - tail {
        low += 1;
    }
    let mut high = low;
    while surprise(high + 1, a, beta) > tail && high < 10_000 {
        high += 1;
    }
    (mean, low as f64, high as f64)
}

/// How many more than `mu` there must be for `asks` or more to be seen with a probability of at least 0.8.
#[must_use]
pub fn caught(asks: u64, mu: f64) -> (u64, f64) {
    let seen = |more: u64| {
        let below = asks.saturating_sub(1);
        Poisson::new((mu + more as f64).max(1e-9)).map_or(0.0, |p| p.sf(below))
    };
    let more = (0..200).find(|more| seen(*more) >= 0.8).unwrap_or(200);
    (more, seen(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-9, "{left} is not {right}");
    }

    fn numbers(line: &str) -> Vec<f64> {
        line.split(',').map(|n| n.parse().unwrap()).collect()
    }

    #[test]
    fn surprises_are_those_of_scipy_on_ten_thousand_inputs() {
        let lines = include_str!("fixtures/negative-binomial.csv").lines();
        let mut seen = 0;
        for line in lines {
            let n = numbers(line);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            let ours = surprise(n[0] as u64, n[1], n[2]);
            assert!((ours - n[3]).abs() <= 1e-9, "{line}: {ours}");
            if n[3] > 1e-250 {
                assert!((ours / n[3] - 1.0).abs() <= 1e-6, "{line}: {ours}");
            }
            seen += 1;
        }
        assert_eq!(seen, 10_000);
    }

    #[test]
    fn shares_are_those_of_scipy() {
        for line in include_str!("fixtures/beta.csv").lines() {
            let n = numbers(line);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            let ours = share_above(n[2], n[0] as u32, n[1] as u32, (1.0, 9.0));
            assert!((ours - n[3]).abs() <= 1e-9, "{line}: {ours}");
        }
    }

    #[test]
    fn benjamini_and_hochberg_on_their_own_example() {
        // The 15 p-values of Benjamini and Hochberg (1995), section 4.1: four are rejected at 0.05.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        assert_eq!(rejected_up_to(&p, 0.05, 15), Some(0.0095));
        let q = adjusted(&p, 15);
        assert_eq!(q.iter().filter(|q| **q <= 0.05).count(), 4);
        near(q[0], 0.0015);
        assert_eq!(rejected_up_to(&[], 0.05, 15), None);
        assert_eq!(rejected_up_to(&[0.01], 0.05, 100), None);
    }

    #[test]
    fn a_rate_that_fell_has_an_interval_below_one() {
        // scipy 1.17: Clopper-Pearson on 8 of 38.
        let fell = rate_ratio((30, 52.0), (8, 26.0), 0.95);
        near(fell.interval.low, 0.211_266_906_871_252_7);
        near(fell.interval.high.unwrap(), 1.190_750_823_057_255_7);
        let ended = rate_ratio((12, 52.0), (0, 26.0), 0.95);
        assert_eq!(ended.ratio, Some(0.0));
        near(ended.interval.high.unwrap(), 0.719_787_634_575_408_3);
        let same = rate_ratio((5, 1.0), (5, 1.0), 0.95);
        near(same.interval.low, 0.230_142_469_088_125_78);
        near(same.interval.high.unwrap(), 4.345_134_579_523_997);
        let fresh = rate_ratio((0, 52.0), (4, 26.0), 0.95);
        assert_eq!((fresh.ratio, fresh.interval.high), (None, None));
    }

    #[test]
    fn a_budget_of_a_tenth_is_spent_at_the_worked_counts() {
        let spent = |k, n| share_above(0.1, k, n, (1.0, 9.0)) >= 0.95;
        for (teams, fires) in [(20, 6), (60, 11), (200, 28)] {
            assert!(spent(fires, teams), "{fires} of {teams}");
            assert!(!spent(fires - 1, teams), "one less than {fires} of {teams}");
        }
    }

    #[test]
    fn what_makes_no_distribution_surprises_nobody() {
        near(surprise(5, f64::NAN, 1.0), 1.0);
        near(surprise(0, 2.0, 1.0), 1.0);
    }
}
