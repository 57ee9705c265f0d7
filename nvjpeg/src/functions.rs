//! NVIDIA's functions, looked up in libraries that are loaded at run time.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::Error;

/// The driver's library, which has had this name for all versions.
const DRIVER: &str = "libcuda.so.1";

/// What nvJPEG and CUDA hand out; only they know what is behind it.
pub(crate) type Opaque = *mut c_void;

/// `nvjpegImage_t`: for each channel where it is to be written, and the bytes in a row.
#[repr(C)]
pub(crate) struct Image {
    pub(crate) channels: [*mut u8; Image::CHANNELS],
    pub(crate) pitches: [usize; Image::CHANNELS],
}

impl Image {
    /// `NVJPEG_MAX_COMPONENT`
    pub(crate) const CHANNELS: usize = 4;
}

/// nvJPEG and CUDA of one major version each, the newest first: what ONNX Runtime's CUDA provider needs.
const LIBRARIES: [[&str; 2]; 2] =
    [["libnvjpeg.so.13", "libcudart.so.13"], ["libnvjpeg.so.12", "libcudart.so.12"]];

type Call = unsafe extern "C" fn(Opaque) -> c_int;
type New = unsafe extern "C" fn(*mut Opaque) -> c_int;
type Allocate = unsafe extern "C" fn(*mut Opaque, usize) -> c_int;

/// The functions that are used, with nvjpeg.h's, `cuda_runtime_api.h`'s and cuda.h's signatures.
pub(crate) struct Functions {
    pub(crate) create_ex:
        unsafe extern "C" fn(c_int, *mut c_void, *mut c_void, c_uint, *mut Opaque) -> c_int,
    pub(crate) destroy: Call,
    pub(crate) state_create: unsafe extern "C" fn(Opaque, *mut Opaque) -> c_int,
    pub(crate) state_destroy: Call,
    pub(crate) image_info: unsafe extern "C" fn(
        Opaque,
        *const u8,
        usize,
        *mut c_int,
        *mut c_int,
        *mut c_int,
        *mut c_int,
    ) -> c_int,
    pub(crate) batch_initialize: unsafe extern "C" fn(Opaque, Opaque, c_int, c_int, c_int) -> c_int,
    pub(crate) decode_batch: unsafe extern "C" fn(
        Opaque,
        Opaque,
        *const *const u8,
        *const usize,
        *mut Image,
        Opaque,
    ) -> c_int,

    pub(crate) device_count: unsafe extern "C" fn(*mut c_int) -> c_int,
    pub(crate) set_device: unsafe extern "C" fn(c_int) -> c_int,
    pub(crate) stream_create: New,
    pub(crate) stream_destroy: Call,
    pub(crate) stream_synchronize: Call,
    pub(crate) malloc: Allocate,
    pub(crate) free: Call,
    pub(crate) malloc_host: Allocate,
    pub(crate) free_host: Call,
    pub(crate) memset_async: unsafe extern "C" fn(Opaque, c_int, usize, Opaque) -> c_int,
    pub(crate) memcpy_async:
        unsafe extern "C" fn(Opaque, *const c_void, usize, c_int, Opaque) -> c_int,

    // Of cuda.h, for what the runtime has in its newest versions only.
    pub(crate) module_load: unsafe extern "C" fn(*mut Opaque, *const c_char) -> c_int,
    pub(crate) module_unload: Call,
    pub(crate) module_function: unsafe extern "C" fn(*mut Opaque, Opaque, *const c_char) -> c_int,
    pub(crate) launch: unsafe extern "C" fn(
        Opaque,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        Opaque,
        *mut *mut c_void,
        *mut *mut c_void,
    ) -> c_int,

    /// The functions live as long as these.
    _libraries: [Library; 3],
}

impl Functions {
    /// Those of this process. Loaded once and for good: these libraries have threads of their own.
    pub(crate) fn loaded() -> Result<&'static Self, Error> {
        static LOADED: OnceLock<Functions> = OnceLock::new();
        match LOADED.get() {
            Some(functions) => Ok(functions),
            None => Self::load().map(|functions| LOADED.get_or_init(|| functions)),
        }
    }

    fn load() -> Result<Self, Error> {
        let [newest, older] = LIBRARIES;
        let [nvjpeg, cuda] = open(newest).or_else(|cause| open(older).map_err(|_| cause))?;
        // Without a driver there is nothing that it could drive.
        let driver = library(DRIVER).map_err(|_| Error::NoGpu)?;
        // SAFETY: each field has the signature that NVIDIA's headers give for the name.
        unsafe {
            Ok(Self {
                create_ex: find(&nvjpeg, "nvjpegCreateEx")?,
                destroy: find(&nvjpeg, "nvjpegDestroy")?,
                state_create: find(&nvjpeg, "nvjpegJpegStateCreate")?,
                state_destroy: find(&nvjpeg, "nvjpegJpegStateDestroy")?,
                image_info: find(&nvjpeg, "nvjpegGetImageInfo")?,
                batch_initialize: find(&nvjpeg, "nvjpegDecodeBatchedInitialize")?,
                decode_batch: find(&nvjpeg, "nvjpegDecodeBatched")?,
                device_count: find(&cuda, "cudaGetDeviceCount")?,
                set_device: find(&cuda, "cudaSetDevice")?,
                stream_create: find(&cuda, "cudaStreamCreate")?,
                stream_destroy: find(&cuda, "cudaStreamDestroy")?,
                stream_synchronize: find(&cuda, "cudaStreamSynchronize")?,
                malloc: find(&cuda, "cudaMalloc")?,
                free: find(&cuda, "cudaFree")?,
                malloc_host: find(&cuda, "cudaMallocHost")?,
                free_host: find(&cuda, "cudaFreeHost")?,
                memset_async: find(&cuda, "cudaMemsetAsync")?,
                memcpy_async: find(&cuda, "cudaMemcpyAsync")?,
                module_load: find(&driver, "cuModuleLoadData")?,
                module_unload: find(&driver, "cuModuleUnload")?,
                module_function: find(&driver, "cuModuleGetFunction")?,
                launch: find(&driver, "cuLaunchKernel")?,
                _libraries: [nvjpeg, cuda, driver],
            })
        }
    }
}

fn open(names: [&'static str; 2]) -> Result<[Library; 2], Error> {
    Ok([library(names[0])?, library(names[1])?])
}

fn library(name: &'static str) -> Result<Library, Error> {
    // SAFETY: NVIDIA's libraries may be loaded from any thread at any time; one that is none of
    // theirs is in the place of what the system's owner has put there.
    unsafe { Library::new(name) }.map_err(|_| Error::NoLibrary { name })
}

/// # Safety
///
/// `T` must be the type of a pointer to the function of that name.
unsafe fn find<T: Copy>(library: &Library, name: &'static str) -> Result<T, Error> {
    // SAFETY: as the caller promises.
    let symbol = unsafe { library.get::<T>(name) };
    symbol.map(|symbol| *symbol).map_err(|_| Error::NoFunction { name })
}
