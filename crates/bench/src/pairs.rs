//! Two sides measured in turn, A B A B …: other work of the machine then slows down both.
//!
//! The ratio of a workload is the median of the ratios of its pairs, not the ratio of two medians.
//!
//! Where the sides do the same kind of work and the ratio is close to its target, a pair is *even* only if the machine
//! was equally fast on both sides. Then more pairs are measured until there are enough even ones, or three times as
//! many as are wanted. The most even pairs count. The choice does not depend on the figures.

use crate::pulse::Measured;

/// The smallest number with a useful median.
pub const PAIRS: usize = 5;

/// How far apart the pulse of the two sides of an even pair may be.
const EVEN: f64 = 0.03;

pub struct Pairs {
    pub samples: Vec<(f64, f64)>,
    /// How many pairs were left out because the machine was not equally fast.
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

    /// Measures `wanted` even pairs, if it can.
    pub fn measure_evenly<Bed: ?Sized>(
        wanted: usize,
        name: &str,
        bed: &mut Bed,
        mut one: impl FnMut(&mut Bed) -> f64,
        mut other: impl FnMut(&mut Bed) -> f64,
    ) -> Self {
        Self::even(wanted, name, || (Measured::by(|| one(bed)), Measured::by(|| other(bed))))
    }

    /// The same if one function measures both sides.
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

/// The value that this share of all values does not exceed.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
