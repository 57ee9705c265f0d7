//! The JSON of the protocol, as it stands on the wire.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{
    Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};

/// Tensors of one request; more than any model has. Each list is bounded where it is read, so that
/// a small body does not become a large structure.
const TENSORS: usize = 16;

/// Dimensions of a tensor.
const DIMENSIONS: usize = 8;

/// Texts of one tensor: more images than anyone sends, and some megabytes of pointers.
const TEXTS: usize = 1 << 16;

/// A request for inference, or the JSON in front of its binary data.
#[derive(Deserialize, ToSchema)]
#[schema(as = InferRequest)]
pub struct Request<'a> {
    /// Comes back with the answer.
    #[schema(example = "picture-1")]
    pub id: Option<String>,
    /// What holds for the whole request.
    pub parameters: Option<RequestParameters>,
    /// One tensor: the network's own input, or `image`.
    #[serde(borrow)]
    #[schema(value_type = Vec<Input>, min_items = 1, max_items = 1)]
    pub inputs: AtMost<Input<'a>, TENSORS>,
    /// What is asked for; everything where it is missing.
    #[schema(value_type = Option<Vec<Output>>, max_items = 16)]
    pub outputs: Option<AtMost<Output, TENSORS>>,
}

/// What a request may say of itself; `priority` and what else other servers know are passed over.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = InferRequestParameters)]
pub struct RequestParameters {
    /// Microseconds within which the answer is of use; 0 for the server's own limit.
    #[schema(example = 500_000)]
    pub timeout: Option<u64>,
    /// Whether outputs that do not say otherwise are wanted as binary data behind the JSON.
    pub binary_data_output: Option<bool>,
}

/// A tensor of a request.
#[derive(Deserialize, ToSchema)]
#[schema(as = InferInput)]
pub struct Input<'a> {
    /// `image` for encoded pictures, or the name of the network's own input.
    #[schema(example = "image")]
    pub name: String,
    /// `BYTES` for encoded pictures, or the type of the network's own input.
    #[schema(example = "BYTES")]
    pub datatype: String,
    /// `[n]` for encoded pictures, or the shape of the network's own input.
    #[schema(value_type = Vec<i64>, max_items = 8, example = json!([1]))]
    pub shape: AtMost<i64, DIMENSIONS>,
    /// What holds for this tensor.
    pub parameters: Option<InputParameters>,
    /// The elements, where they are not behind the JSON.
    #[serde(borrow)]
    #[schema(schema_with = elements)]
    pub data: Option<Data<'a>>,
}

/// An array of what `data` may hold, to one depth of nesting.
fn elements() -> Array {
    let text = || Object::with_type(Type::String);
    let encoded = ObjectBuilder::new().property("b64", text()).required("b64");
    let numbers = Array::new(Object::with_type(Type::Number));
    let of_one_kind = OneOfBuilder::new().item(Object::with_type(Type::Number)).item(text());
    let words = "Numbers, or pictures in base64 (as texts or as `{\"b64\": …}`), flat or nested as \
        the shape is.";
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .description(Some(words))
        .items(of_one_kind.item(encoded).item(numbers))
        .build()
}

/// What is said of a tensor of a request.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = InferInputParameters)]
pub struct InputParameters {
    /// Bytes behind the JSON that are this tensor's, in place of `data`; those of `BYTES` stand each
    /// behind its length in four bytes, little-endian as everything.
    pub binary_data_size: Option<usize>,
    /// Not taken.
    #[schema(ignore)]
    pub shared_memory_region: Option<IgnoredAny>,
}

/// An output that is asked for.
#[derive(Deserialize, ToSchema)]
#[schema(as = InferRequestedOutput)]
pub struct Output {
    /// `logits`, `probabilities`, or the name of the network's own output.
    #[schema(example = "probabilities")]
    pub name: String,
    /// What holds for this output.
    #[serde(default)]
    pub parameters: Option<OutputParameters>,
}

/// What is said of an output that is asked for.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = InferRequestedOutputParameters)]
pub struct OutputParameters {
    /// Whether it is wanted as binary data behind the JSON.
    pub binary_data: Option<bool>,
    /// So many classes, best first, as `value:index:label` in place of the numbers; 0 for numbers.
    #[schema(example = 5)]
    pub classification: Option<usize>,
    /// Not taken.
    #[schema(ignore)]
    pub shared_memory_region: Option<IgnoredAny>,
}

/// The elements of a tensor, however deep they are nested.
#[derive(Default)]
pub struct Data<'a> {
    pub(super) numbers: Vec<f32>,
    pub(super) texts: Vec<Cow<'a, str>>,
}

/// A list of bounded length.
pub struct AtMost<T, const LIMIT: usize>(pub Vec<T>);

/// What was inferred, or the JSON in front of its binary data.
#[derive(Serialize, ToSchema)]
#[schema(as = InferResponse)]
pub struct Response<'a> {
    /// What has answered.
    #[schema(example = "resnet50")]
    pub model_name: &'a str,
    /// Its version.
    #[schema(example = "1")]
    pub model_version: &'a str,
    /// The request's.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(example = "picture-1")]
    pub id: &'a str,
    /// What the protocol has no field for.
    pub parameters: ResponseParameters,
    /// In the order in which they were asked for.
    pub outputs: Vec<ResponseOutput<'a>>,
}

/// What an answer says of itself.
#[derive(Serialize, ToSchema)]
#[schema(as = InferResponseParameters)]
pub struct ResponseParameters {
    /// `false` for random weights, whose answers mean nothing.
    pub trained: bool,
}

/// An output that is given.
#[derive(Serialize, ToSchema)]
#[schema(as = InferOutput)]
pub struct ResponseOutput<'a> {
    /// Its name.
    #[schema(example = "probabilities")]
    pub name: &'a str,
    /// `FP32`, or `BYTES` for classes.
    #[schema(example = "BYTES")]
    pub datatype: &'static str,
    /// `[n, classes]`
    #[schema(example = json!([1, 2]))]
    pub shape: &'a [usize],
    /// Where its elements stand, if not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BinarySize>,
    /// Its elements, image after image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>, example = json!(["0.62:281:tabby, tabby cat", "0.2:282:tiger cat"]))]
    pub data: Option<ResponseData<'a>>,
}

/// Where an output's elements stand behind the JSON.
#[derive(Serialize, ToSchema)]
#[schema(as = InferOutputParameters)]
pub struct BinarySize {
    /// Bytes behind the JSON and behind those of the outputs before this one.
    pub binary_data_size: usize,
}

/// An output's elements in the JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ResponseData<'a> {
    /// Scores or probabilities.
    Numbers(&'a [f32]),
    /// `value:index:label`
    Texts(&'a [String]),
}

impl Output {
    pub(super) fn classes(&self) -> Option<NonZeroUsize> {
        self.parameters.as_ref()?.classification.and_then(NonZeroUsize::new)
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for AtMost<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for ListVisitor<T, LIMIT> {
    type Value = AtMost<T, LIMIT>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {LIMIT} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == LIMIT {
                return Err(A::Error::invalid_length(LIMIT + 1, &self));
            }
            list.push(entry);
        }
        Ok(AtMost(list))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Self::default();
        Flatten(&mut data).deserialize(deserializer)?;
        Ok(data)
    }
}

/// Adds elements to those that there are.
struct Flatten<'f, 'a>(&'f mut Data<'a>);

impl Flatten<'_, '_> {
    fn number(self, number: f32) {
        self.0.numbers.push(number);
    }
}

impl<'a> Flatten<'_, 'a> {
    fn text<E: serde::de::Error>(self, text: Cow<'a, str>) -> Result<(), E> {
        if self.0.texts.len() == TEXTS {
            return Err(E::custom(format!("more than {TEXTS} texts in a tensor")));
        }
        self.0.texts.push(text);
        Ok(())
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Flatten<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "no tensor that is taken has elements of more than 32 bits"
)]
impl<'de: 'a, 'a> Visitor<'de> for Flatten<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("numbers, or base64 as texts or as {\"b64\": …}, in lists")
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        let narrow = number as f32;
        if narrow.is_infinite() {
            return Err(E::custom(format!("{number:e} is beyond the range of FP32")));
        }
        self.number(narrow);
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number as f32);
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f32);
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Flatten(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        match entries.next_key::<Cow<'de, str>>()? {
            Some(key) if key == "b64" => entries.next_value_seed(Flatten(self.0))?,
            _ => return Err(A::Error::custom("an object that is no {\"b64\": …}")),
        }
        match entries.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("an object that is more than {\"b64\": …}")),
        }
    }
}
