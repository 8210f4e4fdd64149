#include "tflite_kernels/micro/convolution.h"

#include "tflite_kernels/micro/copy_codes.h"

namespace edgeax {
namespace micro {
namespace {

struct Interval {
  int32_t begin, end;
};

// Positions of [0, count) whose taps all lie in [0, size).
Interval Inside(int32_t count, int32_t size, int32_t kernel, int32_t stride, int32_t dilation,
                int32_t pad) {
  const int32_t room = size - 1 - (kernel - 1) * dilation + pad;
  const int32_t begin = pad > 0 ? (pad + stride - 1) / stride : 0;
  int32_t end = room < 0 ? 0 : room / stride + 1;
  if (end > count) end = count;
  return {begin < end ? begin : end, end};
}

// One image and one group of a convolution on its way through the rows.
struct Pass {
  const Convolution* convolution;
  const int8_t* input;  // row `input_begin` of the image, first channel of the group
  int32_t input_begin;
  int32_t group_channels;
  int8_t* patches;
  int32_t patch_bytes;
  Interval inside_x, inside_y;
  Sweep sweep;  // what does not change is set
};

const int8_t* PixelAt(const Pass& pass, int32_t y, int32_t x) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  return pass.input + ((y - pass.input_begin) * shape.input_width + x) * shape.input_channels;
}

int8_t* CopyTaps(const Pass& pass, int32_t y, int32_t x, int8_t* to) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  const int32_t channels = pass.group_channels;
  const bool is_row = static_cast<uint32_t>(y) < static_cast<uint32_t>(shape.input_height);
  for (int32_t j = 0; j < shape.kernel_width; ++j, x += shape.dilation_width, to += channels) {
    if (is_row && static_cast<uint32_t>(x) < static_cast<uint32_t>(shape.input_width)) {
      CopyCodes(PixelAt(pass, y, x), channels, to);
    } else {
      FillCodes(pass.convolution->input_zero_point, channels, to);
    }
  }
  return to;
}

// The same where taps follow each other in the image.
int8_t* CopyRow(const Pass& pass, int32_t y, int32_t x, int8_t* to) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  const int32_t zero_point = pass.convolution->input_zero_point, channels = shape.input_channels;
  int32_t begin = x < 0 ? -x : 0;
  int32_t end = shape.input_width - x;
  if (end > shape.kernel_width) end = shape.kernel_width;
  const bool is_row = static_cast<uint32_t>(y) < static_cast<uint32_t>(shape.input_height);
  if (!is_row || begin >= end) begin = end = shape.kernel_width;
  FillCodes(zero_point, begin * channels, to);
  if (begin < end)
    CopyCodes(PixelAt(pass, y, x + begin), (end - begin) * channels, to + begin * channels);
  FillCodes(zero_point, (shape.kernel_width - end) * channels, to + end * channels);
  return to + shape.kernel_width * channels;
}

// Whether taps follow each other in the image.
bool IsJoined(const ConvolutionShape& shape) {
  return shape.dilation_width == 1 && shape.groups == 1;
}

// Copies what an output pixel reads.
void CopyPatch(const Pass& pass, int32_t output_y, int32_t output_x, int8_t* to) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  const auto copy = IsJoined(shape) ? CopyRow : CopyTaps;
  const int32_t x = output_x * shape.stride_width - shape.pad_left;
  int32_t y = output_y * shape.stride_height - shape.pad_top;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height) {
    to = copy(pass, y, x, to);
  }
}

// Copies the same for some pixels in a row of which no column is padding, in whole runs.
void CopyRuns(const Pass& pass, int32_t output_y, int32_t output_x, int32_t pixels, int8_t* to) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  const int32_t size = shape.kernel_width * shape.input_channels;
  const int32_t pixel_step = shape.stride_width * shape.input_channels;
  int32_t y = output_y * shape.stride_height - shape.pad_top;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height, to += size) {
    int8_t* run = to;
    if (static_cast<uint32_t>(y) < static_cast<uint32_t>(shape.input_height)) {
      const int8_t* from = PixelAt(pass, y, output_x * shape.stride_width - shape.pad_left);
      for (int32_t pixel = 0; pixel < pixels; ++pixel, from += pixel_step) {
        CopyCodes(from, size, run);
        run += pass.patch_bytes;
      }
    } else {
      for (int32_t pixel = 0; pixel < pixels; ++pixel, run += pass.patch_bytes) {
        FillCodes(pass.convolution->input_zero_point, size, run);
      }
    }
  }
}

// Copies the patches of some pixels in a row to scratch.
void CopyPatches(const Pass& pass, int32_t output_y, int32_t output_x, int32_t pixels) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  if (IsJoined(shape) && pass.inside_x.begin <= output_x &&
      output_x + pixels <= pass.inside_x.end) {
    return CopyRuns(pass, output_y, output_x, pixels, pass.patches);
  }
  int8_t* to = pass.patches;
  for (const int32_t end = output_x + pixels; output_x < end; ++output_x, to += pass.patch_bytes) {
    CopyPatch(pass, output_y, output_x, to);
  }
}

void SweepCopied(const Pass& pass, int32_t output_y, int32_t begin, int32_t end, int8_t* output) {
  const Convolution& convolution = *pass.convolution;
  Sweep sweep = pass.sweep;
  sweep.patch = pass.patches;
  sweep.patch_step = pass.patch_bytes;
  sweep.run_step = sweep.run_bytes;
  for (int32_t x = begin; x < end; x += sweep.pixels) {
    sweep.pixels = end - x < convolution.plan.patches ? end - x : convolution.plan.patches;
    CopyPatches(pass, output_y, x, sweep.pixels);
    sweep.output = output + x * sweep.output_step;
    convolution.run(sweep, convolution.tile);
  }
}

// The first and the last pixel of a row at once, as there are loops for pairs of pixels.
void SweepEnds(const Pass& pass, int32_t output_y, int8_t* output) {
  const int32_t last = pass.convolution->shape->output_width - 1;
  Sweep sweep = pass.sweep;
  sweep.patch = pass.patches;
  sweep.patch_step = pass.patch_bytes;
  sweep.run_step = sweep.run_bytes;
  sweep.pixels = 2;
  sweep.output = output;
  sweep.output_step *= last;
  CopyPatch(pass, output_y, 0, pass.patches);
  CopyPatch(pass, output_y, last, pass.patches + pass.patch_bytes);
  pass.convolution->run(sweep, pass.convolution->tile);
}

void SweepDirect(const Pass& pass, int32_t output_y, int32_t begin, int32_t end, int8_t* output) {
  const ConvolutionShape& shape = *pass.convolution->shape;
  Sweep sweep = pass.sweep;
  sweep.patch = PixelAt(pass, output_y * shape.stride_height - shape.pad_top,
                        begin * shape.stride_width - shape.pad_left);
  sweep.patch_step = shape.stride_width * shape.input_channels;
  sweep.run_step = shape.dilation_height * shape.input_width * shape.input_channels;
  sweep.pixels = end - begin;
  sweep.output = output + begin * sweep.output_step;
  pass.convolution->run(sweep, pass.convolution->tile);
}

void SweepRow(const Pass& pass, int32_t output_y, int8_t* output) {
  const Interval& inside = pass.inside_x;
  const bool is_direct = pass.convolution->plan.is_direct != 0 && pass.inside_y.begin <= output_y &&
                         output_y < pass.inside_y.end;
  const int32_t width = pass.convolution->shape->output_width;
  if (inside.end > inside.begin) {
    const auto sweep = is_direct ? SweepDirect : SweepCopied;
    sweep(pass, output_y, inside.begin, inside.end, output);
  }
  if (inside.begin == 1 && inside.end == width - 1 && pass.convolution->plan.patches >= 2) {
    return SweepEnds(pass, output_y, output);
  }
  SweepCopied(pass, output_y, 0, inside.begin, output);
  SweepCopied(pass, output_y, inside.end, width, output);
}

// Prepares the tiles from number `first` on.
template <Rounding kRounding>
void PrepareTiles(const Convolution& convolution, int32_t first, int32_t channels, uint8_t* tile) {
  const TilePlan& plan = convolution.tile;
  const int32_t patch_bytes = convolution.plan.runs * convolution.plan.run_bytes;
  const int32_t tile_bytes = kTileHeadBytes + plan.room_bytes;
  for (int32_t number = first; channels > 0; ++number, channels -= kTileChannels) {
    const WeightSource& source = convolution.weights;
    const int32_t skipped =
        plan.is_expanded != 0 ? tile_bytes - kTileChannels * patch_bytes : kTileHeadBytes;
    int8_t* room = reinterpret_cast<int8_t*>(tile) + skipped;
    PrepareTile<kRounding>(plan, convolution.factors, convolution.bias, number * kTileChannels,
                           patch_bytes, source.tile(source.source, number, room), tile);
    tile += tile_bytes;
  }
}

// A convolution whose patches are its pixels sees an image as one row.
ConvolutionShape Flattened(const ConvolutionShape& shape, const Rows& rows) {
  ConvolutionShape flat = shape;
  flat.input_width = flat.output_width = shape.output_width * (rows.end - rows.begin);
  flat.input_height = flat.output_height = 1;
  return flat;
}

bool IsPointwise(const ConvolutionShape& shape) {
  return shape.kernel_height == 1 && shape.kernel_width == 1 && shape.stride_height == 1 &&
         shape.stride_width == 1 && shape.pad_top == 0 && shape.pad_left == 0 &&
         shape.input_height == shape.output_height && shape.input_width == shape.output_width;
}

template <Rounding kRounding>
void ConvolveGroup(Pass* pass, int32_t group, const Rows& rows, int8_t* output, int32_t row_step) {
  const Convolution& convolution = *pass->convolution;
  const int32_t channels = convolution.shape->output_channels / convolution.shape->groups;
  const int32_t tiles = (channels + kTileChannels - 1) / kTileChannels;
  const int32_t step = convolution.plan.sweep_channels;
  uint8_t* prepared = const_cast<uint8_t*>(pass->sweep.tiles);
  for (int32_t channel = 0; channel < channels; channel += step) {
    pass->sweep.channels = channels - channel < step ? channels - channel : step;
    PrepareTiles<kRounding>(convolution, group * tiles + channel / kTileChannels,
                            pass->sweep.channels, prepared);
    int8_t* row = output + channel;
    for (int32_t y = rows.begin; y < rows.end; ++y, row += row_step) {
      SweepRow(*pass, y, row);
    }
  }
}

}  // namespace

template <Rounding kRounding>
void Convolve(const Convolution& whole, const Rows& all, const int8_t* input,
              const OutputPlace& output, void* scratch) {
  Convolution convolution = whole;
  ConvolutionShape flat;
  Rows rows = all;
  if (IsPointwise(*whole.shape) &&
      output.row_step == whole.shape->output_width * output.pixel_step) {
    flat = Flattened(*whole.shape, all);
    convolution.shape = &flat;
    rows = {0, 1, 0};
  }
  const ConvolutionShape& shape = *convolution.shape;
  const ConvolutionPlan& plan = convolution.plan;
  Pass pass;
  pass.convolution = &convolution;
  pass.input_begin = rows.input_begin;
  pass.group_channels = shape.input_channels / shape.groups;
  pass.patches = static_cast<int8_t*>(scratch);
  pass.patch_bytes = (plan.runs * plan.run_bytes + 3) & ~3;
  pass.inside_x = Inside(shape.output_width, shape.input_width, shape.kernel_width,
                         shape.stride_width, shape.dilation_width, shape.pad_left);
  pass.inside_y = Inside(shape.output_height, shape.input_height, shape.kernel_height,
                         shape.stride_height, shape.dilation_height, shape.pad_top);
  pass.sweep.tiles = static_cast<uint8_t*>(scratch) + ((plan.patches * pass.patch_bytes + 7) & ~7);
  pass.sweep.output_step = output.pixel_step;
  pass.sweep.runs = plan.runs;
  pass.sweep.run_bytes = plan.run_bytes;
  pass.sweep.source = convolution.weights.source;
  for (int32_t batch = 0; batch < shape.batches; ++batch) {
    const int8_t* image =
        input + batch * whole.shape->input_height * whole.shape->input_width * shape.input_channels;
    for (int32_t group = 0; group < shape.groups; ++group) {
      pass.input = image + group * pass.group_channels;
      ConvolveGroup<kRounding>(
          &pass, group, rows,
          output.first + batch * output.image_step + group * (shape.output_channels / shape.groups),
          output.row_step);
    }
  }
}

template void Convolve<Rounding::kSingle>(const Convolution&, const Rows&, const int8_t*,
                                          const OutputPlace&, void*);
template void Convolve<Rounding::kDouble>(const Convolution&, const Rows&, const int8_t*,
                                          const OutputPlace&, void*);

}  // namespace micro
}  // namespace edgeax
