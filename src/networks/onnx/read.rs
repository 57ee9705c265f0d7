//! Short ways to ask nodes and constants for what they hold.

use super::{AttributeProto, DataType, GraphProto, NodeProto, TensorProto};

impl GraphProto {
    /// The constant of that name that is stored in the file.
    pub(crate) fn stored(&self, name: &str) -> Option<&TensorProto> {
        self.initializer.iter().find(|tensor| tensor.name == name)
    }

    /// The node that a value comes from.
    pub(crate) fn producer(&self, value: &str) -> Option<&NodeProto> {
        self.node.iter().rfind(|node| node.output.iter().any(|output| output == value))
    }
}

impl NodeProto {
    /// The attribute called `name`, where it is set.
    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// An integer attribute, or its default.
    pub(crate) fn int_or(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    /// A list of integers, where it is set.
    pub(crate) fn ints_of(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// A word, where it is set.
    pub(crate) fn word_of(&self, name: &str) -> Option<&[u8]> {
        self.attribute(name).and_then(|attribute| attribute.s.as_deref())
    }

    /// The name of input `index`, where it is given: an optional input left out is an empty name.
    pub(crate) fn input_at(&self, index: usize) -> Option<&str> {
        self.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }
}

impl TensorProto {
    /// The number of elements; `None` where a dimension is negative or the product does not fit.
    pub(crate) fn element_count(&self) -> Option<u64> {
        self.dims
            .iter()
            .try_fold(1_u64, |count, &dimension| count.checked_mul(u64::try_from(dimension).ok()?))
    }

    /// The values of an int64 constant that is stored in this file.
    pub(crate) fn int64_values(&self) -> Option<Vec<i64>> {
        if self.data_type() != DataType::Int64 {
            return None;
        }
        self.all_of(self.raw_or(&self.int64_data, i64::from_le_bytes))
    }

    /// The values of a float32 constant that is stored in this file.
    pub(crate) fn float32_values(&self) -> Option<Vec<f32>> {
        if self.data_type() != DataType::Float {
            return None;
        }
        self.all_of(self.raw_or(&self.float_data, f32::from_le_bytes))
    }

    /// The numbers in `raw_data`, or where that is empty, in the list of their type.
    fn raw_or<T: Copy, const N: usize>(&self, listed: &[T], from: fn([u8; N]) -> T) -> Vec<T> {
        if self.raw_data.is_empty() {
            return listed.to_vec();
        }
        let (chunks, _) = self.raw_data.as_chunks::<N>();
        chunks.iter().copied().map(from).collect()
    }

    /// The values, if they are as many as the shape says.
    fn all_of<T>(&self, values: Vec<T>) -> Option<Vec<T>> {
        (u64::try_from(values.len()).ok() == self.element_count()).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_constant_come_back_from_either_field() {
        let raw = TensorProto::int64("shape", &[1, -1]);
        assert_eq!(raw.int64_values(), Some(vec![1, -1]));
        let listed = TensorProto {
            dims: vec![2],
            data_type: DataType::Int64.into(),
            int64_data: vec![1, -1],
            ..TensorProto::default()
        };
        assert_eq!(listed.int64_values(), Some(vec![1, -1]));
        let floats = TensorProto {
            dims: vec![2],
            data_type: DataType::Float.into(),
            float_data: vec![0.5, -1.0],
            ..TensorProto::default()
        };
        assert_eq!(floats.float32_values(), Some(vec![0.5, -1.0]));
    }

    #[test]
    fn a_constant_whose_data_lie_elsewhere_has_no_values_but_a_count() {
        let external = TensorProto {
            dims: vec![64, 3, 7, 7],
            data_type: DataType::Float.into(),
            ..TensorProto::default()
        };
        assert_eq!(external.float32_values(), None);
        assert_eq!(external.element_count(), Some(9408));
    }

    #[test]
    fn impossible_dimensions_have_no_count() {
        for dims in [vec![-1], vec![i64::MAX, 3]] {
            let tensor = TensorProto { dims, ..TensorProto::default() };
            assert_eq!(tensor.element_count(), None);
        }
    }

    #[test]
    fn an_input_that_is_left_out_is_none() {
        let node = NodeProto::new("Resize", "larger", ["x", "", "scales"]);
        assert_eq!(node.input_at(1), None);
        assert_eq!(node.input_at(2), Some("scales"));
        assert_eq!(node.input_at(3), None);
    }
}
