//! A GPU's unit for JPEG beside the CPU. A scripted one stands for it and sees blue in every file.

use std::num::NonZeroUsize;

use axum::http::StatusCode;
use resnet_serve::jpeg_unit::{JpegUnit, Unit, UnitError};
use resnet_serve::preprocess::{Pixels, Region};

use super::support::{Service, Settings, png};

/// A photo that is no blue one.
const PHOTO: &[u8] = include_bytes!("../fixtures/preprocess/sampling-444.jpg");
const PROGRESSIVE: &[u8] = include_bytes!("../fixtures/preprocess/progressive.jpg");

struct SeesBlue;

impl Unit for SeesBlue {
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        let blue = |(_, region): &(&[u8], &Region)| {
            let [height, width] = region.size();
            Pixels::new(height, width, [0, 0, 200].repeat((height * width) as usize))
        };
        Ok(files.iter().map(blue).collect())
    }
}

/// Units that are of no use: one says so, one sees nothing, one makes another size than it was asked for.
struct Fails;
struct SeesNothing;
struct SeesLess;

impl Unit for SeesNothing {
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        Ok(files.iter().map(|_| None).collect())
    }
}

impl Unit for Fails {
    fn decode(&mut self, _: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        Err(UnitError::Unit("on purpose".to_owned()))
    }
}

impl Unit for SeesLess {
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        Ok(files.iter().map(|_| Some(Pixels::black(1, 1))).collect())
    }
}

fn service<U: Unit + 'static>(open: fn() -> U) -> Service {
    let unit = JpegUnit::start(NonZeroUsize::MIN, move || Ok(open())).unwrap();
    Service::with_jpeg_unit(Settings::default(), Some(unit))
}

/// The first label, or the problem's code.
async fn label(service: &Service, file: &[u8]) -> String {
    let answer = service.classify("", "image/jpeg", file.to_vec()).await;
    let json = answer.json();
    let label = match answer.status {
        StatusCode::OK => &json["results"][0]["predictions"][0]["label"],
        _ => &json["code"],
    };
    label.as_str().unwrap().to_owned()
}

/// So many of the files that it was given count as that.
fn assert_counted(service: &Service, result: &str, files: f64) {
    let name = format!("resnet_serve_jpeg_unit_images_total{{result=\"{result}\"}}");
    let counted = service.metric(&name);
    assert!((counted - files).abs() < 0.5, "{counted} are {result}");
}

#[tokio::test]
async fn its_pixels_are_what_the_network_sees() {
    let service = service(|| SeesBlue);

    assert_eq!(label(&service, PHOTO).await, "blue");
    assert_counted(&service, "decoded", 1.0);
    let ten = service.classify("?crops=10", "image/jpeg", PHOTO).await;
    assert_eq!(ten.json()["results"][0]["predictions"][0]["label"], "blue");
}

#[tokio::test]
async fn a_file_that_is_cut_off_gets_what_the_cpu_makes_of_it() {
    let (with, without) = (service(|| SeesBlue), Service::start());
    let cut = [&PHOTO[..PHOTO.len() / 2], &[0xff, 0xd9]].concat();

    for file in [&cut[..], &PHOTO[..PHOTO.len() / 2]] {
        let expected = label(&without, file).await;
        assert_eq!(label(&with, file).await, expected);
        assert_ne!(expected, "blue");
    }
    assert_counted(&with, "broken", 2.0);
}

#[tokio::test]
async fn other_pictures_are_decoded_by_the_cpu() {
    let (with, without) = (service(|| SeesBlue), Service::start());

    assert_eq!(label(&with, PROGRESSIVE).await, label(&without, PROGRESSIVE).await);
    assert_eq!(label(&with, &png([200, 0, 0])).await, "red");
}

#[tokio::test]
async fn where_it_fails_the_cpu_decodes() {
    let expected = label(&Service::start(), PHOTO).await;
    assert_ne!(expected, "blue");

    for service in [service(|| Fails), service(|| SeesNothing), service(|| SeesLess)] {
        // To the end of its patience, and beyond.
        for _ in 0..20 {
            assert_eq!(label(&service, PHOTO).await, expected);
        }
        assert_counted(&service, "failed", 20.0);
    }
}
