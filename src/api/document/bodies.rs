//! The forms of a request's body, as the document describes them.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::api::upload::JsonUpload;

/// A PNG of one pixel, in base64: the shortest body that is answered.
pub(in crate::api) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mOImnYHAAMaAc2xYMeKAAAAAElFTkSuQmCC";

/// A picture's own bytes.
pub(in crate::api) struct Picture;

/// A form with files.
pub(in crate::api) struct FormUpload;

impl PartialSchema for Picture {
    fn schema() -> RefOr<Schema> {
        binary().min_length(Some(1)).into()
    }
}

impl ToSchema for Picture {
    fn name() -> Cow<'static, str> {
        "Picture".into()
    }
}

impl PartialSchema for FormUpload {
    fn schema() -> RefOr<Schema> {
        // Among several an empty one has its error in its place, as every bad one.
        let files = ArrayBuilder::new().items(binary().build()).min_items(Some(1));
        ObjectBuilder::new()
            .description(Some("One or more files, in this field or in fields of any other name."))
            .property("images", files.description(Some("The pictures, each a file.")))
            .property("top_k", top_k().schema_type(Type::Integer))
            .required("images")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for FormUpload {
    fn name() -> Cow<'static, str> {
        "FormUpload".into()
    }
}

impl PartialSchema for JsonUpload {
    /// Either field is there, and not both; what a library writes for "nothing" is taken as that.
    fn schema() -> RefOr<Schema> {
        let one =
            base64("One image in base64, also in lines or as a `data:` URL.").min_length(Some(4));
        let one = json_object("image", one.into());
        let several = ArrayBuilder::new().items(base64("As `image`.").build()).min_items(Some(1));
        let several = json_object("images", several.description(Some("Several images.")).into());
        OneOfBuilder::new()
            .description(Some("A request's images as JSON: `image` for one, `images` for several."))
            .item(one.title(Some("One")).property("images", null()))
            .item(several.title(Some("Several")).property("image", null()))
            .examples([json!({"image": PIXEL, "top_k": 3}), json!({"images": [PIXEL, PIXEL]})])
            .into()
    }
}

impl ToSchema for JsonUpload {
    fn name() -> Cow<'static, str> {
        "JsonUpload".into()
    }
}

fn json_object(required: &str, images: Schema) -> ObjectBuilder {
    let top_k = top_k().schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));
    ObjectBuilder::new()
        .property(required, images)
        .required(required)
        .property("top_k", top_k)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn top_k() -> ObjectBuilder {
    ObjectBuilder::new()
        .minimum(Some(1))
        .description(Some("As the query parameter of that name, which goes before."))
}

fn base64(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte)))
        .content_encoding("base64")
        .description(Some(description))
}

fn binary() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .content_media_type("application/octet-stream")
}

fn null() -> Object {
    ObjectBuilder::new().schema_type(Type::Null).build()
}
