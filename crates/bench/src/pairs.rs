//! Measures the two sides of a ratio in turn, A B A B …, so that other work of the machine slows down both sides.
//!
//! A *pair* is two successive figures, one of each side. The ratio of a workload is the median of the ratios of its
//! pairs, not the ratio of two medians.
//!
//! A pair is *even* if the machine was equally fast while each of its sides was measured. If the sides do the same kind
//! of work and the ratio is close to its target, even pairs are needed. Then pairs are measured until enough are even,
//! but at most three times as many as are wanted, and the most even ones count. The choice does not depend on the
//! figures.

use crate::pulse::Measured;

/// The smallest number with a useful median.
pub const PAIRS: usize = 5;

/// The largest difference of the pulse between the sides of an even pair: 3 %.
const EVEN: f64 = 0.03;

pub struct Pairs {
    pub samples: Vec<(f64, f64)>,
    /// The number of pairs that were left out because others were more even.
    pub left_out: usize,
}

impl Pairs {
    /// Measures [`PAIRS`] pairs on one bed. `name` is shown as progress.
    pub fn measure<Bed: ?Sized>(
        name: &str,
        bed: &mut Bed,
        mut one: impl FnMut(&mut Bed) -> f64,
        mut other: impl FnMut(&mut Bed) -> f64,
    ) -> Self {
        let mut samples = Vec::new();
        for round in 1..=PAIRS {
            let pair = (one(bed), other(bed));
            eprintln!("{name}, pair {round} of {PAIRS}: {:.1} / {:.1} = {:.3}", pair.0, pair.1, pair.0 / pair.1);
            samples.push(pair);
        }
        samples.into()
    }

    /// Measures until there are `wanted` even pairs, or `3 * wanted` pairs. The `wanted` most even pairs count.
    pub fn measure_evenly<Bed: ?Sized>(
        wanted: usize,
        name: &str,
        bed: &mut Bed,
        mut one: impl FnMut(&mut Bed) -> f64,
        mut other: impl FnMut(&mut Bed) -> f64,
    ) -> Self {
        Self::even(wanted, name, || (Measured::by(|| one(bed)), Measured::by(|| other(bed))))
    }

    /// Does the same with one function that measures both sides.
    pub fn even(wanted: usize, name: &str, mut measure: impl FnMut() -> (Measured, Measured)) -> Self {
        let mut pairs = Vec::new();
        while pairs.iter().filter(|(apart, _)| *apart <= EVEN).count() < wanted && pairs.len() < 3 * wanted {
            let (one, other) = measure();
            let (apart, pair) = (one.apart(&other), (one.figure, other.figure));
            pairs.push((apart, pair));
            let ratio = pair.0 / pair.1;
            eprintln!(
                "{name}, pair {}: {:.1} / {:.1} = {ratio:.3}, {:.1} % apart",
                pairs.len(),
                pair.0,
                pair.1,
                100.0 * apart
            );
        }
        pairs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let left_out = pairs.len() - wanted;
        Self { samples: pairs.into_iter().take(wanted).map(|(_, pair)| pair).collect(), left_out }
    }

    pub fn ratio(&self) -> f64 {
        median(self.samples.iter().map(|(one, other)| one / other))
    }

    pub fn one(&self) -> f64 {
        median(self.samples.iter().map(|pair| pair.0))
    }

    pub fn other(&self) -> f64 {
        median(self.samples.iter().map(|pair| pair.1))
    }
}

impl From<Vec<(f64, f64)>> for Pairs {
    fn from(samples: Vec<(f64, f64)>) -> Self {
        Self { samples, left_out: 0 }
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// Returns the smallest value that is not exceeded by this share of all values.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
