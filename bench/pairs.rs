//! Two sides measured in turn, A B A B …: what the machine does besides then weighs on both.
//!
//! The ratio of a workload is the median of the ratios of its pairs, not the ratio of two medians. All samples are kept.

/// As few as can have a median worth the name.
pub const PAIRS: usize = 5;

pub struct Pairs {
    pub samples: Vec<(f64, f64)>,
}

impl Pairs {
    /// Measures [`PAIRS`] pairs of what shares `bed`. `name` is for whoever waits for it.
    pub fn measure<Bed: ?Sized>(
        name: &str,
        bed: &mut Bed,
        one: impl FnMut(&mut Bed) -> f64,
        other: impl FnMut(&mut Bed) -> f64,
    ) -> Self {
        Self::measure_more(PAIRS, name, bed, one, other)
    }

    /// The same with more pairs, for a figure that is small beside what the machine does besides.
    pub fn measure_more<Bed: ?Sized>(
        rounds: usize,
        name: &str,
        bed: &mut Bed,
        mut one: impl FnMut(&mut Bed) -> f64,
        mut other: impl FnMut(&mut Bed) -> f64,
    ) -> Self {
        let mut samples = Vec::new();
        for round in 1..=rounds {
            let pair = (one(bed), other(bed));
            eprintln!("{name}, pair {round} of {rounds}: {:.1} / {:.1} = {:.3}", pair.0, pair.1, pair.0 / pair.1);
            samples.push(pair);
        }
        Self { samples }
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

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value that a share of all is not above.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
