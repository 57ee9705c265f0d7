/* Resizes the pictures of a batch, a part of each: rows first, then columns, with eight bits between the passes, as Pillow
 * does. A block of memory holds pixels and results; what to do with each picture is told beside it. The arithmetic of integers
 * alone decides, so that the results are those of the CPU to the last bit.
 *
 * make_ptx.py makes resize.ptx of it. A C compiler takes it too, for the tests. */
#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__
#else
#define KERNEL static void
#define DEVICE static
#endif

/* In one direction: of which pixels each is made, and how much of them. The places are counted in bytes from `told`'s begin. */
struct weights {
    unsigned starts;  /* the first pixel, for each: unsigned */
    unsigned counts;  /* how many pixels, for each: unsigned */
    unsigned values;  /* `window` for each: short, in units of 2^-precision */
    unsigned window;
    unsigned precision;
};

/* The places are counted in bytes from the block's begin; pixels are of three bytes, rows without gaps. */
struct picture {
    unsigned long long decoded;
    unsigned long long narrowed;  /* after the first pass, rows `first_row` and on */
    unsigned long long resized;
    unsigned long long written;   /* unsigned: becomes 1 where the last decoded row is not as it was before */
    unsigned decoded_width, decoded_height;
    unsigned first_row, narrowed_rows;
    unsigned width, height;
    struct weights columns, rows;
};

DEVICE unsigned char clipped(int sum, unsigned precision) {
    int value = sum >> precision;
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Each thread of the grid takes pixels of the rows of `narrowed`. */
KERNEL narrow(unsigned char *block, const unsigned char *told, unsigned unwritten) {
    const struct picture *picture = (const struct picture *)told + blockIdx.z;
    const struct weights *columns = &picture->columns;
    const unsigned *starts = (const unsigned *)(told + columns->starts);
    const unsigned *counts = (const unsigned *)(told + columns->counts);
    const short *values = (const short *)(told + columns->values);
    unsigned thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;

    for (unsigned row = blockIdx.y; row < picture->narrowed_rows; row += gridDim.y) {
        unsigned long long above = picture->first_row + row;
        const unsigned char *from = block + picture->decoded + above * picture->decoded_width * 3;
        unsigned char *to = block + picture->narrowed + (unsigned long long)row * picture->width * 3;
        for (unsigned column = thread; column < picture->width; column += threads) {
            const unsigned char *pixel = from + (unsigned long long)starts[column] * 3;
            const short *value = values + (unsigned long long)column * columns->window;
            int half = 1 << (columns->precision - 1);
            int red = half, green = half, blue = half;
            for (unsigned each = 0; each < counts[column]; each++) {
                red += pixel[3 * each] * value[each];
                green += pixel[3 * each + 1] * value[each];
                blue += pixel[3 * each + 2] * value[each];
            }
            to[3 * column] = clipped(red, columns->precision);
            to[3 * column + 1] = clipped(green, columns->precision);
            to[3 * column + 2] = clipped(blue, columns->precision);
        }
    }
    if (blockIdx.y == 0) {
        unsigned long long last = picture->decoded_height - 1;
        const unsigned char *row = block + picture->decoded + last * picture->decoded_width * 3;
        for (unsigned byte = thread; byte < picture->decoded_width * 3; byte += threads)
            if (row[byte] != unwritten) *(unsigned *)(block + picture->written) = 1;
    }
}

/* Each thread of the grid takes bytes of the rows of `resized`. */
KERNEL shorten(unsigned char *block, const unsigned char *told) {
    const struct picture *picture = (const struct picture *)told + blockIdx.z;
    const struct weights *rows = &picture->rows;
    const unsigned *starts = (const unsigned *)(told + rows->starts);
    const unsigned *counts = (const unsigned *)(told + rows->counts);
    const short *values = (const short *)(told + rows->values);
    unsigned thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    unsigned long long row_bytes = (unsigned long long)picture->width * 3;

    for (unsigned row = blockIdx.y; row < picture->height; row += gridDim.y) {
        const unsigned char *from = block + picture->narrowed + starts[row] * row_bytes;
        const short *value = values + (unsigned long long)row * rows->window;
        for (unsigned byte = thread; byte < row_bytes; byte += threads) {
            int sum = 1 << (rows->precision - 1);
            for (unsigned each = 0; each < counts[row]; each++) sum += from[each * row_bytes + byte] * value[each];
            block[picture->resized + row * row_bytes + byte] = clipped(sum, rows->precision);
        }
    }
}
