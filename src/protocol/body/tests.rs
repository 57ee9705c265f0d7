//! The parser by itself, as a fuzzer calls it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parsed(text: &Value) -> InferRequest {
    parse(&text.to_string().into(), None).unwrap()
}

fn refused(body: impl Into<Bytes>, head: Option<usize>) -> String {
    parse(&body.into(), head).unwrap_err().to_string()
}

fn input(data: &Value) -> Value {
    json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": data}]})
}

fn data(of: &Value) -> TensorData {
    parsed(&input(of)).inputs.remove(0).data
}

#[test]
fn everything_that_a_request_says_is_found() {
    let request = parsed(&json!({
        "id": "a",
        "parameters": {"timeout": 1500, "priority": 3, "binary_data_output": true, "own": {"a": []}},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, -0.5]}],
        "outputs": [
            {"name": "y", "parameters": {"classification": 3, "binary_data": false}},
            {"name": "z", "parameters": {"classification": 0}},
        ],
    }));
    assert_eq!(request.id, "a");
    assert_eq!(request.timeout, Some(Duration::from_micros(1500)));
    assert!(request.binary_output);
    assert_eq!(request.inputs[0].shape, [1, 2]);
    let named = |name: &str| RequestedOutput { name: name.to_owned(), ..Default::default() };
    let classes = std::num::NonZeroUsize::new(3);
    let first = RequestedOutput { classes, binary: Some(false), ..named("y") };
    assert_eq!(request.outputs, [first, named("z")]);
}

#[test]
fn what_is_left_out_has_its_usual_meaning() {
    let request = parsed(&json!({"inputs": [], "parameters": {"timeout": 0}}));
    assert_eq!((request.id.as_str(), request.timeout), ("", None));
    assert!(request.outputs.is_empty() && !request.binary_output);
}

#[test]
fn numbers_may_be_nested_as_the_shape_is() {
    let flat = TensorData::Numbers(vec![1.0, 2.5, -3.0, 4e10]);
    assert_eq!(data(&json!([1, 2.5, -3, 4e10])), flat);
    assert_eq!(data(&json!([[[1], [2.5]], [[-3], [4e10]]])), flat);
}

#[test]
fn base64_may_stand_in_objects_and_be_escaped() {
    let texts = TensorData::Base64(vec!["ab/=".into(), "cd==".into()]);
    assert_eq!(data(&json!(["ab/=", {"b64": "cd=="}])), texts);
    let body = input(&json!(["ab/=", "cd=="])).to_string().replace('/', "\\/");
    assert_eq!(parse(&body.into(), None).unwrap().inputs[0].data, texts);
}

#[test]
fn elements_that_are_none_are_refused() {
    for (wrong, hint) in [
        (json!([1, "a"]), "mixed"),
        (json!([true]), "boolean"),
        (json!([null]), "null"),
        (json!([{"b64": "a", "b65": "b"}]), "more than {\"b64\""),
        (json!([{"b65": "a"}]), "no {\"b64\""),
        (json!([{}]), "no {\"b64\""),
        (json!(vec![""; (1 << 16) + 1]), "more than 65536 texts"),
    ] {
        let words = refused(input(&wrong).to_string(), None);
        assert!(words.contains(hint), "{hint}: {words}");
    }
}

#[test]
fn binary_data_is_shared_out_in_the_order_of_the_inputs() {
    let sized = |name, size| json!({"name": name, "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}});
    let text = json!({"inputs": [sized("a", 2), sized("b", 3)]}).to_string();
    let head = Some(text.len());
    let request = parse(&format!("{text}abcde").into(), head).unwrap();
    assert_eq!(request.inputs[0].data, TensorData::Raw("ab".into()));
    assert_eq!(request.inputs[1].data, TensorData::Raw("cde".into()));
    assert!(refused(format!("{text}abcdef"), head).contains("1 bytes of binary data"));
    assert!(refused(format!("{text}abcd"), head).contains("3 bytes of binary data are announced"));
    assert!(refused(text.clone(), Some(text.len() + 1)).contains("bytes of JSON are announced"));
}

#[test]
fn a_body_without_json_is_one_picture() {
    let request = parse(&"picture".into(), Some(0)).unwrap();
    assert_eq!(request.inputs[0].name, "image");
    assert_eq!(request.inputs[0].data, TensorData::Elements(vec!["picture".into()]));
}

#[test]
fn an_input_has_its_data_in_one_place() {
    let with = |extra: Value| {
        let mut body = input(&json!([1]));
        for (key, value) in extra.as_object().unwrap() {
            body["inputs"][0][key] = value.clone();
        }
        refused(body.to_string(), None)
    };
    assert!(with(json!({"parameters": {"binary_data_size": 0}})).contains("exclude"));
    assert!(with(json!({"data": null})).contains("neither"));
    let shared = json!({"parameters": {"shared_memory_region": "r"}});
    assert!(with(shared.clone()).contains("shared memory"));
    let mut body = input(&json!([1]));
    body["outputs"] = json!([{"name": "y", "parameters": shared["parameters"]}]);
    assert!(refused(body.to_string(), None).contains("output `y`: shared memory"));
}

#[test]
fn lists_are_bounded_where_they_are_read() {
    let tensor = json!({"name": "x", "datatype": "FP32", "shape": vec![1; 9], "data": []});
    let shape = refused(json!({"inputs": [tensor]}).to_string(), None);
    assert!(shape.contains("at most 8 entries"), "{shape}");
    let outputs = json!({"inputs": [], "outputs": vec![json!({"name": ""}); 17]}).to_string();
    assert!(refused(outputs, None).contains("at most 16 entries"));
    let deep = format!(r#"{{"inputs": {}"#, "[".repeat(100_000));
    assert!(!refused(deep, None).is_empty());
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    for (body, hint) in [
        ("", "EOF"),
        ("[]", "array"),
        ("{}", "missing field `inputs`"),
        (r#"{"inputs": [{"name": "x"}]}"#, "missing field `datatype`"),
        (r#"{"inputs": [], "parameters": {"timeout": -1}}"#, "-1"),
        (r#"{"inputs": [], "id": 7}"#, "integer `7`"),
    ] {
        let words = refused(body, None);
        assert!(words.contains(hint), "{body}: {words}");
    }
}

#[test]
fn the_peak_covers_what_numbers_and_texts_become() {
    let numbers = input(&json!(vec![0; 10_000])).to_string();
    assert!(peak_bytes(numbers.as_bytes(), None) >= 10_000 * (8 + 4));
    let text = input(&json!(["a".repeat(1000)])).to_string();
    assert!(peak_bytes(text.as_bytes(), None) >= 1750);
    assert!(peak_bytes(&[b','; 1000], Some(0)) < 100, "binary data is not copied");
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        head in proptest::option::of(0..300_usize),
    ) {
        let _ = parse(&body.into(), head);
    }

    #[test]
    fn no_damage_to_a_good_body_makes_the_parser_panic(place in 0..200_usize, byte: u8) {
        let mut body = input(&json!(["ab==", {"b64": "cd=="}])).to_string().into_bytes();
        let length = body.len();
        body[place % length] = byte;
        let _ = parse(&body.into(), None);
    }
}
