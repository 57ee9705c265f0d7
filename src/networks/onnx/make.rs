//! Short ways to make nodes, constants and declared values.

use prost::bytes::Bytes;

use super::{
    AttributeProto, AttributeType, DataType, DimensionProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The name of the dimension that counts images.
pub(crate) const BATCH: &str = "batch";

impl NodeProto {
    /// An operation of ONNX's own set with one output, which has the node's name.
    pub(crate) fn new<const N: usize>(operator: &str, name: &str, inputs: [&str; N]) -> Self {
        Self {
            input: inputs.map(String::from).to_vec(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            ..Self::default()
        }
    }

    /// The node with an integer attribute more.
    pub(crate) fn int(mut self, name: &str, value: i64) -> Self {
        self.attribute.push(AttributeProto {
            name: name.to_owned(),
            i: Some(value),
            r#type: AttributeType::Int.into(),
            ..AttributeProto::default()
        });
        self
    }

    /// The node with a list of integers more.
    pub(crate) fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.attribute.push(AttributeProto {
            name: name.to_owned(),
            ints: values.to_vec(),
            r#type: AttributeType::Ints.into(),
            ..AttributeProto::default()
        });
        self
    }

    /// The node with a word more.
    pub(crate) fn word(mut self, name: &str, value: &'static str) -> Self {
        self.attribute.push(AttributeProto {
            name: name.to_owned(),
            s: Some(Bytes::from_static(value.as_bytes())),
            r#type: AttributeType::String.into(),
            ..AttributeProto::default()
        });
        self
    }
}

impl TensorProto {
    /// A float32 constant of shape `dims`.
    pub(crate) fn float32(name: &str, dims: &[usize], values: &[f32]) -> Self {
        Self::raw(name, dims, DataType::Float, values)
    }

    /// A float16 constant of shape `dims`.
    pub(crate) fn float16(name: &str, dims: &[usize], values: &[half::f16]) -> Self {
        Self::raw(name, dims, DataType::Float16, values)
    }

    /// An int8 constant of shape `dims`.
    pub(crate) fn int8(name: &str, dims: &[usize], values: &[i8]) -> Self {
        Self::raw(name, dims, DataType::Int8, values)
    }

    /// A list of int32, shape `[values.len()]`.
    pub(crate) fn int32(name: &str, values: &[i32]) -> Self {
        Self::raw(name, &[values.len()], DataType::Int32, values)
    }

    /// A byte, shape `[]`.
    pub(crate) fn uint8(name: &str, value: u8) -> Self {
        Self::raw(name, &[], DataType::Uint8, &[value])
    }

    /// A list of int64, shape `[values.len()]`.
    pub(crate) fn int64(name: &str, values: &[i64]) -> Self {
        Self::raw(name, &[values.len()], DataType::Int64, values)
    }

    /// The bytes as they lie in memory: ONNX asks for little-endian ones, and every platform that
    /// ONNX Runtime is built for has them so.
    fn raw<T: bytemuck::NoUninit>(
        name: &str,
        dims: &[usize],
        data_type: DataType,
        values: &[T],
    ) -> Self {
        Self {
            dims: dims.iter().copied().map(to_i64).collect(),
            data_type: data_type.into(),
            name: name.to_owned(),
            raw_data: Bytes::copy_from_slice(bytemuck::cast_slice(values)),
            ..Self::default()
        }
    }
}

impl ValueInfoProto {
    /// A tensor whose first dimension is [`BATCH`] and whose others are `dims`.
    pub(crate) fn batched(name: &str, data_type: DataType, dims: &[usize]) -> Self {
        let batch =
            DimensionProto { dim_param: Some(BATCH.to_owned()), ..DimensionProto::default() };
        let others = dims.iter().map(|&dimension| DimensionProto {
            dim_value: Some(to_i64(dimension)),
            ..DimensionProto::default()
        });
        let dim = std::iter::once(batch).chain(others).collect();
        Self {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: data_type.into(),
                    shape: Some(TensorShapeProto { dim }),
                }),
            }),
        }
    }
}

/// A dimension as ONNX stores it. No address space holds an array longer than `i64::MAX`.
pub(crate) fn to_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_zero_attribute_is_written_and_read_back() {
        let node = NodeProto::new("Gather", "row", ["table", "index"]).int("axis", 0);
        let read = NodeProto::decode(node.encode_to_vec().as_slice()).unwrap();
        assert_eq!(read.attribute[0].i, Some(0));
        assert_eq!(read, node);
    }

    #[test]
    fn constants_are_little_endian() {
        let tensor = TensorProto::float32("one", &[1], &[1.0]);
        assert_eq!(&tensor.raw_data[..], [0, 0, 0x80, 0x3f]);
        assert_eq!(tensor.dims, [1]);
        let tensor = TensorProto::float16("one", &[1], &[half::f16::ONE]);
        assert_eq!(&tensor.raw_data[..], [0, 0x3c]);
    }

    #[test]
    fn a_batched_value_names_its_first_dimension() {
        let value = ValueInfoProto::batched("input", DataType::Float, &[3, 224, 224]);
        let dims = value.r#type.unwrap().tensor_type.unwrap().shape.unwrap().dim;
        assert_eq!(dims[0].dim_param.as_deref(), Some("batch"));
        assert_eq!(dims[2].dim_value, Some(224));
    }
}
