//! An inspection as a table for people.

use std::fmt;

use super::{Dimension, Inspection, Tensor};

impl fmt::Display for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |formatter: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            writeln!(formatter, "{name:<15} {value}")
        };
        if let Some(network) = &self.network {
            row(formatter, "network", network)?;
        }
        row(formatter, "depth", &self.depth_line())?;
        row(formatter, "parameters", &self.parameter_line())?;
        row(formatter, "multiply-adds", &self.multiply_add_line())?;
        for input in &self.inputs {
            row(formatter, "input", input)?;
        }
        for output in &self.outputs {
            row(formatter, "output", output)?;
        }
        row(formatter, "operators", &self.operator_sets.join(", "))?;
        row(formatter, "producer", &self.producer)?;
        row(formatter, "file", &format_args!("{} bytes", grouped(self.file_bytes as u64)))
    }
}

impl Inspection {
    fn depth_line(&self) -> String {
        let unknown = self.unknown_operators.join(", ");
        if unknown.is_empty() {
            format!("{} layers with weights", self.depth)
        } else {
            format!("{} layers with weights, not counting {unknown}", self.depth)
        }
    }

    fn parameter_line(&self) -> String {
        let parameters = &self.parameters;
        let stored = format!("{} ({})", grouped(parameters.stored), parameters.normalization);
        match parameters.unfolded {
            Some(unfolded) if unfolded != parameters.stored => {
                format!("{stored}; {} with a scale and a shift", grouped(unfolded))
            }
            _ => stored,
        }
    }

    fn multiply_add_line(&self) -> String {
        match (self.multiply_adds, &self.multiply_adds_unknown) {
            (Some(count), _) => format!("{} ({})", grouped(count), rounded(count)),
            (None, reason) => format!("unknown: {}", reason.as_deref().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimensions: Vec<_> = self.shape.iter().map(Dimension::to_string).collect();
        let (name, kind) = (&self.name, self.element_type);
        write!(formatter, "{name}: {kind} [{}]", dimensions.join(", "))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Named(name) => formatter.write_str(name),
        }
    }
}

/// `1234567` as `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut groups = Vec::new();
    for group in digits.as_bytes().rchunks(3) {
        groups.insert(0, String::from_utf8_lossy(group));
    }
    groups.join(",")
}

/// Three digits or so, in thousand millions or millions.
fn rounded(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let millions = count as f64 / 1e6;
    if millions >= 1000.0 {
        format!("{:.2} G", millions / 1000.0)
    } else {
        format!("{millions:.1} M")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(25_557_032), "25,557,032");
    }

    #[test]
    fn counts_are_rounded_to_their_unit() {
        assert_eq!(rounded(3_857_973_248), "3.86 G");
        assert_eq!(rounded(40_551_808), "40.6 M");
    }
}
