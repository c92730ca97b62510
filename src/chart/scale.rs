//! From numbers to places: straight scales that begin at zero, with round ticks.

/// A straight scale from zero to a round top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// The value at the far end.
    pub(super) top: f64,
    /// Between two ticks.
    pub(super) step: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale that holds `max` and puts zero at `from` and its top at `to`, with about `ticks` ticks.
    pub(super) fn new(max: f64, ticks: f64, (from, to): (f64, f64)) -> Self {
        let max = if max.is_finite() && max > 0.0 {
            max
        } else {
            1.0
        };
        let step = round_step(max / ticks.max(1.0));
        Self {
            top: (max / step).ceil() * step,
            step,
            from,
            to,
        }
    }

    /// The same for counts: no tick between two whole numbers.
    pub(super) fn counts(max: f64, ticks: f64, ends: (f64, f64)) -> Self {
        let scale = Self::new(max.max(1.0), ticks, ends);
        if scale.step >= 1.0 {
            return scale;
        }
        Self {
            top: max.max(1.0).ceil(),
            step: 1.0,
            ..scale
        }
    }

    /// Where a value is.
    pub(super) fn at(self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.top).clamp(-1.0, 1.0)
    }

    /// Values of the ticks, zero first.
    pub(super) fn ticks(self) -> Vec<f64> {
        let mut out = vec![0.0];
        let mut n = 1.0;
        while n * self.step <= self.top * 1.000_001 && out.len() < 20 {
            out.push(n * self.step);
            n += 1.0;
        }
        out
    }
}

/// 1, 2 or 5 times a power of ten, not under `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let lead = least / power;
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|r| lead <= r * 1.000_001)
        .unwrap_or(10.0);
    round * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_greatest() {
        assert_eq!(
            Scale::new(7.3, 4.0, (0.0, 100.0)).ticks(),
            [0.0, 2.0, 4.0, 6.0, 8.0]
        );
        assert_eq!(
            Scale::counts(2.0, 4.0, (0.0, 100.0)).ticks(),
            [0.0, 1.0, 2.0]
        );
        assert_eq!(Scale::new(0.0, 4.0, (0.0, 1.0)).ticks().last(), Some(&1.0));
    }
}
