//! The JPEG unit of NVIDIA's GPUs, which decodes while the GPU's and the machine's cores do
//! something else. The A100, the H100 and newer ones for data centres have it.
//!
//! NVIDIA's libraries, `libnvjpeg` and `libcudart`, are loaded when the first [`Decoder`] is made; nothing needs
//! them before.
//!
//! **The unit reports no picture that is cut off or broken**: the rest of it shows what the memory held before,
//! which is the end of another picture. Whoever uses its pixels must know that the file is whole.

mod functions;

use std::ffi::{c_int, c_uint};
use std::ptr;
use std::slice;

use thiserror::Error;

use functions::{Functions, Image, Opaque};

/// `NVJPEG_BACKEND_HARDWARE`
const HARDWARE: c_int = 3;
/// `NVJPEG_FLAGS_BITSTREAM_STRICT`
const STRICT: c_uint = 1 << 2;
/// `NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION`
const INTERPOLATING: c_uint = 1 << 5;
/// `NVJPEG_OUTPUT_RGBI`
const RGB_INTERLEAVED: c_int = 5;
/// `NVJPEG_CSS_444` and `NVJPEG_CSS_GRAY`: there is no colour to interpolate.
const WHOLE_COLOR: [c_int; 2] = [0, 6];
/// What the pixels are before the unit writes them, so that a picture that it has left out shows.
const UNWRITTEN: u8 = 0xab;
/// `cudaMemcpyDeviceToHost`
const TO_HOST: c_int = 2;
/// Where each picture begins in a decoder's memory is a multiple of so many bytes.
pub const ALIGNMENT: usize = 256;

/// Why a picture was not decoded, or never will be.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum Error {
    /// NVIDIA's library is not where the loader looks.
    #[error(
        "`{name}` is not found; NVIDIA's CUDA toolkit has it, and pip's `nvidia-nvjpeg` and `nvidia-cuda-runtime`"
    )]
    NoLibrary {
        /// The name of the file.
        name: &'static str,
    },
    /// The library has another interface.
    #[error("the library has no `{name}`")]
    NoFunction {
        /// What was looked for in it.
        name: &'static str,
    },
    /// There is nothing that CUDA could use.
    #[error("CUDA finds no GPU")]
    NoGpu,
    /// The GPU is of a kind that has no such unit, or the driver does not offer it.
    #[error(
        "this GPU has no JPEG unit, or its driver does not offer it (`NVIDIA_DRIVER_CAPABILITIES` must have `video`): {cause}"
    )]
    NoUnit {
        /// What nvJPEG said.
        cause: Box<Error>,
    },
    /// More pixels than there is memory for.
    #[error("the pictures take `{needed}` bytes, and `{capacity}` are set aside")]
    TooLarge {
        /// Bytes of all pictures of a batch.
        needed: usize,
        /// Bytes that there are.
        capacity: usize,
    },
    /// A call did not work.
    #[error("{function} failed: {}", meaning(.function, *.status))]
    Failed {
        /// Which of NVIDIA's functions.
        function: &'static str,
        /// What it returned.
        status: c_int,
    },
}

impl Error {
    /// Whether one of the files may be to blame.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        const OF_A_FILE: [c_int; 4] = [2, BAD_JPEG, 4, 10];
        match self {
            Self::TooLarge { .. } => true,
            Self::Failed { function, status } => {
                function.starts_with("nvjpeg") && OF_A_FILE.contains(status)
            }
            _ => false,
        }
    }
}

/// A decoded picture: `height` rows of `width` pixels of red, green and blue, without gaps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Picture<'a> {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// `[height, width, 3]`
    pub rgb: &'a [u8],
}

impl Picture<'_> {
    /// Whether the last row is as it was before; a picture that really ends so is decoded by others.
    fn is_unwritten(&self) -> bool {
        self.rgb.iter().rev().take(3 * self.width as usize).all(|byte| *byte == UNWRITTEN)
    }
}

/// The unit, as one thread uses it, with memory for the pixels of a batch. Two of them keep it busy
/// while one copies.
pub struct Decoder {
    functions: &'static Functions,
    /// For pictures whose colour is stored whole, and for those where it is interpolated, which takes
    /// twice the time.
    sessions: [Session; 2],
    stream: Opaque,
    on_device: Opaque,
    in_memory: *mut u8,
    capacity: usize,
}

/// nvJPEG's handle and state, null until they are made.
struct Session {
    handle: Opaque,
    state: Opaque,
    /// The size that the state is made for.
    batch: usize,
}

/// Where a picture is to lie.
struct Place {
    at: usize,
    height: u32,
    width: u32,
    session: usize,
}

/// What nvJPEG is given for one batch, an item for each picture.
#[derive(Default)]
struct Batch {
    data: Vec<*const u8>,
    lengths: Vec<usize>,
    images: Vec<Image>,
}

impl Place {
    fn bytes(&self) -> usize {
        self.height as usize * self.width as usize * 3
    }
}

impl Decoder {
    /// A decoder on that GPU for batches of at most `capacity` bytes of pixels.
    ///
    /// # Errors
    ///
    /// Where NVIDIA's libraries, a GPU or its JPEG unit are missing.
    pub fn new(device: u16, capacity: usize) -> Result<Self, Error> {
        let functions = Functions::loaded()?;
        let session = || Session { handle: ptr::null_mut(), state: ptr::null_mut(), batch: 0 };
        let mut decoder = Self {
            functions,
            sessions: [session(), session()],
            stream: ptr::null_mut(),
            on_device: ptr::null_mut(),
            in_memory: ptr::null_mut(),
            capacity,
        };
        decoder.open(device.into())?;
        Ok(decoder)
    }

    fn open(&mut self, device: c_int) -> Result<(), Error> {
        let Self { functions, capacity, .. } = self;
        let (mut devices, mut host) = (0, ptr::null_mut());
        // SAFETY: the pointers lead to fields of their types, which outlive the calls.
        unsafe {
            let counted = (functions.device_count)(&raw mut devices);
            if counted != 0 || device >= devices {
                return Err(Error::NoGpu);
            }
            done("cudaSetDevice", (functions.set_device)(device))?;
            done("cudaStreamCreate", (functions.stream_create)(&raw mut self.stream))?;
            done("cudaMalloc", (functions.malloc)(&raw mut self.on_device, *capacity))?;
            done("cudaMallocHost", (functions.malloc_host)(&raw mut host, *capacity))?;
            // So that it may be read.
            ptr::write_bytes(host.cast::<u8>(), 0, *capacity);
        }
        self.in_memory = host.cast();
        for (session, flags) in self.sessions.iter_mut().zip([STRICT, STRICT | INTERPOLATING]) {
            session
                .open(functions, flags)
                .map_err(|cause| Error::NoUnit { cause: Box::new(cause) })?;
        }
        Ok(())
    }

    /// The pictures in baseline JPEG, in their order; `None` for one that the unit has left out without
    /// saying so.
    ///
    /// # Errors
    ///
    /// Where one of them is of a kind that the unit cannot take, or all do not fit into memory. It is
    /// **no** error where one is cut off or broken.
    pub fn decode(&mut self, files: &[&[u8]]) -> Result<Vec<Option<Picture<'_>>>, Error> {
        let places = self.places(files)?;
        let used = places.last().map_or(0, |place| place.at + place.bytes());
        let mut batches = [0, 1].map(|session| self.batch(session, files, &places));
        self.clear(used)?;
        let submitted =
            batches.iter_mut().enumerate().try_for_each(|(at, batch)| self.submit(at, batch));
        let waited = self.copy_out(used);
        drop(batches); // until here nvJPEG may have read from them
        submitted.and(waited)?;
        // SAFETY: the block has `capacity` initialized bytes, and nothing writes to it while `self`
        // is borrowed: what was submitted has been waited for.
        let pixels = unsafe { slice::from_raw_parts(self.in_memory, used) };
        let picture = |place: &Place| Picture {
            height: place.height,
            width: place.width,
            rgb: &pixels[place.at..place.at + place.bytes()],
        };
        let pictures = places.iter().map(picture);
        Ok(pictures.map(|picture| (!picture.is_unwritten()).then_some(picture)).collect())
    }

    /// Makes so many bytes of the device's block unwritten.
    fn clear(&mut self, used: usize) -> Result<(), Error> {
        let value = UNWRITTEN.into();
        // SAFETY: the block has `capacity` bytes, and `places` has seen to it that no more are used.
        let status =
            unsafe { (self.functions.memset_async)(self.on_device, value, used, self.stream) };
        done("cudaMemsetAsync", status)
    }

    fn places(&self, files: &[&[u8]]) -> Result<Vec<Place>, Error> {
        let mut end: usize = 0;
        let mut place = |file: &&[u8]| {
            let found = self.place(file, end.next_multiple_of(ALIGNMENT))?;
            end = found.at + found.bytes();
            Ok(found)
        };
        let places = files.iter().map(&mut place).collect::<Result<Vec<_>, Error>>()?;
        if end > self.capacity {
            return Err(Error::TooLarge { needed: end, capacity: self.capacity });
        }
        Ok(places)
    }

    fn place(&self, file: &[u8], at: usize) -> Result<Place, Error> {
        let (mut components, mut subsampling) = (0, 0);
        let (mut widths, mut heights) = ([0; Image::CHANNELS], [0; Image::CHANNELS]);
        // SAFETY: the file is as long as is said, and nvJPEG writes no more than its four channels.
        let status = unsafe {
            (self.functions.image_info)(
                self.sessions[0].handle,
                file.as_ptr(),
                file.len(),
                &raw mut components,
                &raw mut subsampling,
                widths.as_mut_ptr(),
                heights.as_mut_ptr(),
            )
        };
        done("nvjpegGetImageInfo", status)?;
        // A JPEG's sides are of 16 bits.
        let side = |side: c_int| u32::try_from(side).ok().filter(|side| *side <= 0xffff);
        let session = usize::from(!WHOLE_COLOR.contains(&subsampling));
        match (side(heights[0]), side(widths[0])) {
            (Some(height), Some(width)) => Ok(Place { at, height, width, session }),
            _ => Err(Error::Failed { function: "nvjpegGetImageInfo", status: BAD_JPEG }),
        }
    }

    /// What goes through that session.
    fn batch(&self, session: usize, files: &[&[u8]], places: &[Place]) -> Batch {
        let mut batch = Batch::default();
        for (file, place) in files.iter().zip(places).filter(|(_, place)| place.session == session)
        {
            batch.data.push(file.as_ptr());
            batch.lengths.push(file.len());
            let mut image = Image {
                channels: [ptr::null_mut(); Image::CHANNELS],
                pitches: [0; Image::CHANNELS],
            };
            image.channels[0] = self.on_device.cast::<u8>().wrapping_add(place.at);
            image.pitches[0] = place.width as usize * 3;
            batch.images.push(image);
        }
        batch
    }

    fn submit(&mut self, session: usize, batch: &mut Batch) -> Result<(), Error> {
        if batch.images.is_empty() {
            return Ok(());
        }
        let session = &mut self.sessions[session];
        session.prepare(self.functions, batch.images.len())?;
        // SAFETY: the three lists have as many items as the state is made for, and live, as do the
        // files, until the stream has been waited for; the device's block has room for each picture.
        let status = unsafe {
            (self.functions.decode_batch)(
                session.handle,
                session.state,
                batch.data.as_ptr(),
                batch.lengths.as_ptr(),
                batch.images.as_mut_ptr(),
                self.stream,
            )
        };
        if status != 0 {
            session.batch = 0; // a state that has failed is initialized anew
        }
        done("nvjpegDecodeBatched", status)
    }

    /// Brings so many bytes of pixels into memory, and waits for all that was submitted.
    fn copy_out(&mut self, used: usize) -> Result<(), Error> {
        let Self { functions, stream, .. } = self;
        // SAFETY: both blocks have `capacity` bytes, and `places` has seen to it that no more are used.
        unsafe {
            let copied = (functions.memcpy_async)(
                self.in_memory.cast(),
                self.on_device,
                used,
                TO_HOST,
                *stream,
            );
            let waited = (functions.stream_synchronize)(*stream);
            done("cudaMemcpyAsync", copied).and(done("cudaStreamSynchronize", waited))
        }
    }
}

impl Session {
    fn open(&mut self, functions: &Functions, flags: c_uint) -> Result<(), Error> {
        let (handle, state) = (&raw mut self.handle, &raw mut self.state);
        let no_allocator = ptr::null_mut();
        // SAFETY: null asks for nvJPEG's own allocators; the pointers lead to fields of this session.
        unsafe {
            let created =
                (functions.create_ex)(HARDWARE, no_allocator, no_allocator, flags, handle);
            done("nvjpegCreateEx", created)?;
            done("nvjpegJpegStateCreate", (functions.state_create)(self.handle, state))
        }
    }

    /// Makes the state one for batches of that size.
    fn prepare(&mut self, functions: &Functions, batch: usize) -> Result<(), Error> {
        if self.batch == batch {
            return Ok(());
        }
        let size = c_int::try_from(batch).unwrap_or(c_int::MAX);
        let threads = 1;
        // SAFETY: the handle and the state are of each other.
        let status = unsafe {
            (functions.batch_initialize)(self.handle, self.state, size, threads, RGB_INTERLEAVED)
        };
        self.batch = if status == 0 { batch } else { 0 };
        done("nvjpegDecodeBatchedInitialize", status)
    }
}

impl Drop for Decoder {
    /// What does not go is the driver's; nothing could be done about it here.
    fn drop(&mut self) {
        let functions = self.functions;
        let release = |free: unsafe extern "C" fn(Opaque) -> c_int, thing: Opaque| {
            if !thing.is_null() {
                // SAFETY: it was made by this decoder, is released once, and what uses it goes first.
                unsafe { free(thing) };
            }
        };
        release(functions.stream_synchronize, self.stream);
        for session in &self.sessions {
            release(functions.state_destroy, session.state);
            release(functions.destroy, session.handle);
        }
        release(functions.free, self.on_device);
        release(functions.free_host, self.in_memory.cast());
        release(functions.stream_destroy, self.stream);
    }
}

fn done(function: &'static str, status: c_int) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(Error::Failed { function, status }) }
}

/// `NVJPEG_STATUS_BAD_JPEG`
const BAD_JPEG: c_int = 3;

/// What nvjpeg.h says of a status.
fn meaning(function: &str, status: c_int) -> String {
    let known = match status {
        2 => "a parameter is invalid",
        BAD_JPEG => "the JPEG is broken",
        4 => "the JPEG is of a kind that is not supported",
        5 => "there is not enough memory",
        6 => "the GPU has failed",
        7 => "the GPU is too old",
        8 => "something inside nvJPEG went wrong",
        9 => "this is not implemented",
        10 => "the JPEG is cut off",
        _ => return format!("status {status}"),
    };
    if function.starts_with("nvjpeg") { known.to_owned() } else { format!("CUDA's error {status}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_words() {
        let failed = |function, status| Error::Failed { function, status }.to_string();

        assert_eq!(
            failed("nvjpegDecodeBatched", 10),
            "nvjpegDecodeBatched failed: the JPEG is cut off"
        );
        assert_eq!(failed("cudaMalloc", 2), "cudaMalloc failed: CUDA's error 2");
        assert_eq!(failed("nvjpegDecodeBatched", 77), "nvjpegDecodeBatched failed: status 77");
    }
}
