//! The results, as a table and as JSON.
//!
//! A row has the ratio and both figures, so that the ratio can be checked. A row is void if the capacity of the
//! receiver may have limited its figure.

use std::array::from_fn;
use std::fmt::{self, Display};

use serde_json::{Value, json};

use crate::cost::Cost;
use crate::pairs::Pairs;

/// The capacity of the receiver must be this multiple of the measured rate. The capacity is in requests per second of its own
/// CPU time, so a receiver of one thread is busy for at most four fifths of the time. On two processors, which receiver and
/// sender share, the fastest sender leaves it no more.
const HEADROOM: f64 = 1.25;

/// The columns of the table.
type Cells<T = &'static str> = [T; 7];

#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Met,
    Missed,
    /// The row has no target.
    Reported,
    Void(String),
    Skipped(String),
}

#[derive(Clone)]
pub struct Quantity {
    pub value: f64,
    pub unit: &'static str,
}

pub struct Row {
    /// The number of the workload in the README. Several rows can have the same number.
    pub number: &'static str,
    pub workload: String,
    pub figure: Option<Quantity>,
    pub divided_by: String,
    pub divisor: Option<Quantity>,
    pub ratio: Option<f64>,
    pub target: Option<Target>,
    /// Requests per second that the receiver can take, and the highest rate of requests that was sent to it.
    pub receiver: Option<(f64, f64)>,
    pub cost: Option<Cost>,
    /// The number of another row. This row is void if that row misses its target.
    pub needs: Option<&'static str>,
    pub notes: Vec<String>,
    pub samples: Vec<(f64, f64)>,
    skipped: Option<String>,
    void: Option<String>,
}

impl Row {
    pub fn new(number: &'static str, workload: impl Into<String>) -> Self {
        Self {
            number,
            workload: workload.into(),
            figure: None,
            divided_by: String::new(),
            divisor: None,
            ratio: None,
            target: None,
            receiver: None,
            cost: None,
            needs: None,
            notes: Vec::new(),
            samples: Vec::new(),
            skipped: None,
            void: None,
        }
    }

    pub fn skipped(number: &'static str, workload: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { skipped: Some(reason.into()), ..Self::new(number, workload) }
    }

    pub fn figure(self, value: f64, unit: &'static str) -> Self {
        Self { figure: Some(Quantity { value, unit }), ..self }
    }

    /// Sets the divisor, and computes the ratio.
    pub fn divided_by(mut self, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        self.ratio = self.figure.as_ref().map(|figure| figure.value / value);
        self.divided_by = what.into();
        self.divisor = Some(Quantity { value, unit });
        self
    }

    /// Sets figure, divisor, ratio and samples from pairs, whose sides have the same unit.
    pub fn pairs(self, divided_by: impl Into<String>, pairs: &Pairs, unit: &'static str) -> Self {
        let row = self.figure(pairs.one(), unit).divided_by(divided_by, pairs.other(), unit);
        let row = Self { ratio: Some(pairs.ratio()), samples: pairs.samples.clone(), ..row };
        match pairs.left_out {
            0 => row,
            some => row.note(format!("{some} pairs left out: the machine was not equally fast on both sides")),
        }
    }

    pub fn at_least(self, target: f64) -> Self {
        Self { target: Some(Target::AtLeast(target)), ..self }
    }

    pub fn at_most(self, target: f64) -> Self {
        Self { target: Some(Target::AtMost(target)), ..self }
    }

    /// Sets the capacity of the receiver, and the highest rate that either side sent to it.
    pub fn receiver(self, capacity: f64, rate: f64) -> Self {
        Self { receiver: Some((capacity, rate)), ..self }
    }

    pub fn cost(self, cost: Cost) -> Self {
        Self { cost: Some(cost), ..self }
    }

    pub fn needs(self, number: &'static str) -> Self {
        Self { needs: Some(number), ..self }
    }

    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub fn verdict(&self) -> Verdict {
        if let Some(reason) = &self.skipped {
            return Verdict::Skipped(reason.clone());
        }
        if let Some(reason) = &self.void {
            return Verdict::Void(reason.clone());
        }
        if let Some((capacity, rate)) = self.receiver
            && capacity < HEADROOM * rate
        {
            return Verdict::Void(format!("the receiver takes {}/s", number(capacity)));
        }
        match (self.target, self.measured()) {
            (Some(target), Some(measured)) if target.is_met(measured) => Verdict::Met,
            (Some(_), _) => Verdict::Missed,
            (None, _) => Verdict::Reported,
        }
    }

    /// Returns the value that the target applies to: the ratio if there is one, otherwise the figure.
    pub fn measured(&self) -> Option<f64> {
        self.ratio.or(self.figure.as_ref().map(|figure| figure.value))
    }

    fn cells(&self) -> Cells<String> {
        let text = |quantity: &Option<Quantity>| quantity.as_ref().map_or(String::new(), Quantity::to_string);
        let divisor = match self.divided_by.as_str() {
            "" => String::new(),
            what => format!("{what}: {}", text(&self.divisor)),
        };
        [
            self.number.to_string(),
            self.workload.clone(),
            text(&self.figure),
            divisor,
            self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            self.target.map_or(String::new(), |target| target.to_string()),
            self.verdict().to_string(),
        ]
    }

    fn remarks(&self) -> Vec<String> {
        let receiver = self.receiver.map(|(capacity, _)| format!("receiver takes {}/s", number(capacity)));
        let cost = self.cost.map(|cost| {
            format!(
                "per delivery: {:.1} µs CPU of the dispatcher, of that {:.1} in its main thread; {:.0} bytes WAL with \
                 page images; {:.4} writing commits",
                cost.cpu_micros, cost.main_cpu_micros, cost.wal_bytes, cost.commits
            )
        });
        let needs = self.needs.map(|needs| format!("counts only with #{needs} met"));
        [receiver, cost, needs].into_iter().flatten().chain(self.notes.iter().cloned()).collect()
    }

    fn to_json(&self) -> Value {
        let quantity = |quantity: &Option<Quantity>| {
            quantity.as_ref().map(|quantity| json!({ "value": quantity.value, "unit": quantity.unit }))
        };
        json!({
            "number": self.number,
            "workload": self.workload,
            "figure": quantity(&self.figure),
            "divided_by": self.divided_by,
            "divisor": quantity(&self.divisor),
            "ratio": self.ratio,
            "target": self.target.map(|target| target.to_string()),
            "verdict": self.verdict().to_string(),
            "receiver_capacity": self.receiver.map(|(capacity, _)| capacity),
            "cpu_micros_per_delivery": self.cost.map(|cost| cost.cpu_micros),
            "main_thread_cpu_micros_per_delivery": self.cost.map(|cost| cost.main_cpu_micros),
            "wal_bytes_per_delivery": self.cost.map(|cost| cost.wal_bytes),
            "commits_per_delivery": self.cost.map(|cost| cost.commits),
            "needs": self.needs,
            "notes": self.notes,
            "samples": self.samples,
        })
    }
}

impl Report {
    /// Adds a row and prints it.
    pub fn add(&mut self, row: Row) {
        eprint!("{}", lines(&[], &[&row]));
        self.rows.push(row);
    }

    /// Marks a row as void if the row that it depends on was measured and missed its target.
    pub fn compare_rows(&mut self) {
        let all_met = |number| {
            let others = self.rows.iter().filter(|row| row.number == number);
            others.map(Row::verdict).all(|verdict| verdict == Verdict::Met)
        };
        let needing = self.rows.iter().enumerate().filter_map(|(index, row)| Some((index, row.needs?)));
        let void: Vec<_> = needing.filter(|(_, needed)| !all_met(*needed)).collect();
        for (index, needed) in void {
            self.rows[index].void = Some(format!("#{needed} is not met"));
        }
    }

    /// Returns all rows with a header, as text.
    pub fn table(&self) -> String {
        let rows: Vec<&Row> = self.rows.iter().collect();
        lines(&[HEAD.map(String::from)], &rows)
    }

    /// Returns the numbers of rows with each verdict.
    pub fn summary(&self) -> String {
        let count = |verdict: fn(&Verdict) -> bool| self.rows.iter().filter(|row| verdict(&row.verdict())).count();
        let met = count(|verdict| *verdict == Verdict::Met);
        let missed = count(|verdict| *verdict == Verdict::Missed);
        let void = count(|verdict| matches!(verdict, Verdict::Void(_)));
        let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        format!("{met} met, {missed} missed, {void} void, {skipped} skipped")
    }

    pub fn to_json(&self, machine: &Value) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({ "machine": machine, "rows": rows })
    }
}

impl Target {
    pub fn is_met(self, measured: f64) -> bool {
        match self {
            Target::AtLeast(least) => measured >= least,
            Target::AtMost(most) => measured <= most,
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtLeast(least) => write!(f, "≥ {least}"),
            Target::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Met => f.write_str("met"),
            Verdict::Missed => f.write_str("missed"),
            Verdict::Reported => f.write_str("–"),
            Verdict::Void(reason) => write!(f, "void: {reason}"),
            Verdict::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", number(self.value), self.unit)
    }
}

const HEAD: Cells = ["#", "workload", "figure", "divided by", "ratio", "target", ""];

/// Formats rows as a table, each with its remarks below it.
fn lines(head: &[Cells<String>], rows: &[&Row]) -> String {
    let cells: Vec<Cells<String>> = rows.iter().map(|row| row.cells()).collect();
    let all = || head.iter().chain(&cells);
    let widths: Cells<usize> =
        from_fn(|column| all().map(|cells| cells[column].chars().count()).max().unwrap_or_default());
    let remarks = |row: &&Row| row.remarks().iter().map(|remark| format!("     · {remark}\n")).collect::<String>();
    let head = head.iter().map(|cells| line(cells, &widths));
    let rows = rows.iter().zip(&cells).map(|(row, cells)| line(cells, &widths) + &remarks(row));
    head.chain(rows).collect()
}

fn line(cells: &Cells<String>, widths: &Cells<usize>) -> String {
    let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
    format!("{}\n", cells.collect::<String>().trim_end())
}

/// Formats a number with three or four significant digits, and commas between thousands.
pub fn number(value: f64) -> String {
    match value.abs() {
        whole if value.fract() == 0.0 && whole < 100.0 => format!("{value}"),
        small if small < 10.0 => format!("{value:.3}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let place = |(index, digit): (usize, char)| match (digits.len() - index).is_multiple_of(3) && index > 0 {
                true => vec![',', digit],
                false => vec![digit],
            };
            digits.chars().enumerate().flat_map(place).collect()
        }
    }
}
