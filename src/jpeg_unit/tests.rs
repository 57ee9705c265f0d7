//! The unit's line and its threads, with a scripted unit.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::*;
use crate::preprocess::{Interpolation, Transform};

const FILE: &[u8] = include_bytes!("../../tests/fixtures/preprocess/sampling-444.jpg");

type Order = Result<(), UnitError>;

/// Decodes to black, batch for batch as it is told to, and says how many files were in each.
struct Scripted {
    orders: Arc<Mutex<Receiver<Order>>>,
    batches: Sender<usize>,
}

impl Unit for Scripted {
    fn decode(&mut self, files: &[(&[u8], &Region)]) -> Result<Vec<Option<Pixels>>, UnitError> {
        self.batches.send(files.len()).unwrap();
        self.orders.lock().unwrap().recv().unwrap()?;
        Ok(files.iter().map(|_| Some(black())).collect())
    }
}

struct Setup {
    unit: JpegUnit,
    orders: Sender<Order>,
    batches: Receiver<usize>,
}

/// One thread, whose unit can be opened so many times.
fn setup(openings: usize) -> Setup {
    let (orders, to_unit) = mpsc::channel();
    let (from_unit, batches) = mpsc::channel();
    let orders_of_unit = Arc::new(Mutex::new(to_unit));
    let left = Arc::new(Mutex::new(openings));
    let open = move || {
        let mut left = left.lock().unwrap();
        *left = left.checked_sub(1).ok_or("the unit is gone")?;
        Ok(Scripted { orders: Arc::clone(&orders_of_unit), batches: from_unit.clone() })
    };
    let unit = JpegUnit::start(NonZeroUsize::MIN, open).unwrap();
    Setup { unit, orders, batches }
}

/// Of that file.
fn region(file: &[u8]) -> (ImageHeader, Region) {
    let header = ImageHeader::parse(file, u64::MAX).unwrap();
    let transform = Transform {
        resize_shorter_side: 40,
        crop_height: 32,
        crop_width: 32,
        interpolation: Interpolation::Bilinear,
    };
    let region = transform.region_of_center(&header).unwrap();
    (header, region)
}

fn black() -> Pixels {
    Pixels::black(32, 32)
}

async fn decode(unit: &JpegUnit) -> Option<Pixels> {
    unit.place().await?.decode(Bytes::from_static(FILE), region(FILE).1).await
}

/// A picture that is on its way to the unit, or there.
fn waiting(unit: &JpegUnit) -> Pin<Box<impl Future<Output = Option<Pixels>> + '_>> {
    let mut waiting = Box::pin(decode(unit));
    assert!(waiting.as_mut().now_or_never().is_none());
    waiting
}

#[tokio::test]
async fn what_waits_is_decoded_together() {
    let Setup { unit, orders, batches } = setup(1);
    let first = waiting(&unit);
    assert_eq!(batches.recv().unwrap(), 1);
    // While that one is decoded, others come.
    let others: Vec<_> = (0..3).map(|_| waiting(&unit)).collect();
    orders.send(Ok(())).unwrap();
    orders.send(Ok(())).unwrap();

    assert_eq!(first.await, Some(black()));
    for other in others {
        assert_eq!(other.await, Some(black()));
    }
    assert_eq!(batches.recv().unwrap(), 3);
}

#[tokio::test]
async fn a_picture_that_nobody_waits_for_is_not_decoded() {
    let Setup { unit, orders, batches } = setup(1);
    let first = waiting(&unit);
    assert_eq!(batches.recv().unwrap(), 1);
    drop(waiting(&unit));
    let last = waiting(&unit);
    orders.send(Ok(())).unwrap();
    orders.send(Ok(())).unwrap();

    assert!(first.await.is_some());
    assert!(last.await.is_some());
    assert_eq!(batches.recv().unwrap(), 1);
}

#[tokio::test]
async fn places_are_bounded() {
    let Setup { unit, .. } = setup(1);
    let mut places = Vec::new();
    while let Some(place) = unit.place().now_or_never() {
        places.push(place);
    }
    assert_eq!(places.len(), 2 * BATCH);
    places.pop();
    assert!(unit.place().now_or_never().is_some());
}

#[tokio::test]
async fn a_unit_that_fails_is_opened_anew_and_then_given_up() {
    let Setup { unit, orders, batches: _batches } = setup(2);
    for _ in 0..FAILURES_OF_TWO {
        orders.send(Err(UnitError::Unit("on purpose".to_owned()))).unwrap();
    }
    let mut failed = 0;
    while let Some(place) = unit.place().await {
        assert!(place.decode(Bytes::from_static(FILE), region(FILE).1).await.is_none());
        failed += 1;
        assert!(failed <= 2 * FAILURES_OF_TWO);
    }
    assert!(failed >= FAILURES_OF_TWO);
}

/// Failures of a unit that was opened twice.
const FAILURES_OF_TWO: u32 = 2 * worker::FAILURES;

#[tokio::test]
async fn a_file_that_the_unit_refuses_costs_the_others_nothing() {
    let Setup { unit, orders, batches } = setup(1);
    let first = waiting(&unit);
    assert_eq!(batches.recv().unwrap(), 1);
    let others: Vec<_> = (0..3).map(|_| waiting(&unit)).collect();
    let refused = || Err(UnitError::File("on purpose".to_owned()));
    // The first; the three together; each of them.
    for order in [Ok(()), refused(), Ok(()), refused(), Ok(())] {
        orders.send(order).unwrap();
    }

    assert!(first.await.is_some());
    let mut decoded = Vec::new();
    for other in others {
        decoded.push(other.await.is_some());
    }
    assert_eq!(decoded, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_hangs_is_not_waited_for() {
    let Setup { unit, orders, batches } = setup(1);
    let begin = tokio::time::Instant::now();
    let first = waiting(&unit);
    assert_eq!(batches.recv().unwrap(), 1);

    assert!(first.await.is_none());
    assert!(unit.place().await.is_none());
    assert_eq!(begin.elapsed(), PATIENCE, "nobody else waits");

    orders.send(Ok(())).unwrap();
    let patience = std::time::Instant::now() + Duration::from_secs(10);
    while unit.place().await.is_none() {
        assert!(std::time::Instant::now() < patience, "it works again");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn nobody_waits_for_a_thread_that_panicked() {
    let Setup { unit, orders, batches } = setup(1);
    drop((orders, batches)); // what the unit says and asks panics from now on

    while let Some(place) = unit.place().await {
        assert!(place.decode(Bytes::from_static(FILE), region(FILE).1).await.is_none());
    }
}

#[test]
fn a_unit_that_is_not_there_is_said() {
    let open = || Err::<Scripted, _>("there is none".to_owned());

    let error = JpegUnit::start(NonZeroUsize::MIN, open).err();

    assert_eq!(error.as_deref(), Some("there is none"));
}

#[test]
fn only_plain_jpegs_are_taken() {
    let Setup { unit, .. } = setup(1);
    let takes = |name: &str| {
        let file = std::fs::read(format!("tests/fixtures/preprocess/{name}")).unwrap();
        let (header, region) = region(&file);
        unit.takes(&file, (&header, &region))
    };

    assert!(takes("sampling-420.jpg"));
    assert!(!takes("progressive.jpg"));
    assert!(!takes("gray.png"));
    assert!(!takes("scaled-4105x4098.jpg"), "16.8 million pixels are too many");
}
