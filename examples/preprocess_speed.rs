//! Decodes, resizes and crops the given files again and again, for `benchmarks/preprocess` to time.
//!
//! `preprocess_speed ROUNDS FILE…` prints the milliseconds for a picture in each round, one a line.

use std::hint::black_box;
use std::io::{Write, stdout};
use std::time::Instant;

use resnet_serve::model::manifest::{ColorOrder, Interpolation, Layout};
use resnet_serve::preprocess::{ImageHeader, Packing, Slot, Transform};

const TRANSFORM: Transform = Transform {
    resize_shorter_side: 256,
    crop_height: 224,
    crop_width: 224,
    interpolation: Interpolation::Bilinear,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().ok_or("ROUNDS FILE…")?.parse()?;
    let files = arguments.map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let packing =
        Packing::new(Layout::Nchw, ColorOrder::Rgb, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut tensor = vec![0.0; 3 * 224 * 224];
    for _ in 0..rounds {
        let start = Instant::now();
        for file in &files {
            let header = ImageHeader::parse(file, 100_000_000)?;
            let pixels = TRANSFORM.apply(file, &header)?;
            packing.pack(&pixels, Slot::Float32(&mut tensor));
            black_box(&tensor);
        }
        let pictures = u32::try_from(files.len())?;
        writeln!(stdout(), "{}", (start.elapsed() / pictures).as_secs_f64() * 1e3)?;
    }
    Ok(())
}
