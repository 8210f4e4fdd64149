#pragma once  // arch/sign_plan.h: how signs are predicted, and where what they need lies.

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/predicted_signs.h"

// Codes are copied so that the positions of a channel lie beside each other, a plane for each phase
// of the strides; a tap reads its plane from some place on. Gradients lie at the same places, with
// zeros between the rows of images. So every gradient of a weight is an inner product of its own.
//
// Inner products multiply bytes. What is wider, the gradients or their most significant bits, is a
// sum of planes of bytes, of which the second counts 256 times, and of rests, which only few blocks
// of kStep positions have. An instruction set gives
//   kStep, positions that are multiplied at a time, a multiple of 16,
//   kBias, what it wants added to codes that it multiplies by bytes,
//   kIsWide, whether it multiplies codes of more than 4 bits by bytes,
//   kFearsLeast, whether it wants to know that codes of -128 are among these,
//   kHasPairs, whether two products of bytes cost less than one of int8 and int16.

namespace edgeax {
namespace {

constexpr int32_t kNarrowBits = 4;            // of codes that all sets multiply by bytes
constexpr int32_t kFourBits = 10;             // of gradients that are bytes and rests in fours
constexpr int32_t kMostPhaseTaps = 16;        // of an axis; others are core/'s, and so is
constexpr int64_t kMostPlaneBytes = 1 << 23;  // what needs more for one row of an image,
constexpr int64_t kMostPositions = 1 << 16;   // and whose sums 32 bits may not hold
constexpr int64_t kUsualPositions = 2048;     // of a chunk, which stays in the caches
constexpr int64_t kMostKeptBytes = 1 << 22;   // of all chunks, that none is copied twice
constexpr int32_t kTurned = 8;                // pixels and channels that are turned at a time

// Where the taps of an axis read: `place` of their plane, from `shift` on.
struct PhaseAxis {
  int32_t low, span;  // input positions, in strides, of the first place and behind the last output
  int32_t phases;
  int32_t residues[kMostPhaseTaps], places[kMostPhaseTaps], shifts[kMostPhaseTaps];
};

static inline bool PlanAxis(const Axis& axis, PhaseAxis* plan) {
  if (axis.kernel > kMostPhaseTaps) return false;
  *plan = {};
  int32_t high = 0;
  for (int32_t k = 0; k < axis.kernel; ++k) {
    const int32_t offset = k * axis.dilation - axis.pad;
    const int32_t residue = (offset % axis.stride + axis.stride) % axis.stride;
    const int32_t shift = (offset - residue) / axis.stride;
    if (k == 0) plan->low = shift;  // offsets grow
    high = shift;
    int32_t place = 0;
    while (place < plan->phases && plan->residues[place] != residue) ++place;
    if (place == plan->phases) plan->residues[plan->phases++] = residue;
    plan->places[k] = place;
    plan->shifts[k] = shift - plan->low;
  }
  plan->span = high - plan->low;
  return true;
}

// How numbers of 16 bits are told.
enum class FactorKind {
  kNone,   // not at all: all are 0
  kBytes,  // a byte
  kFours,  // a byte, and rests that count 4 times
  kLows,   // the lower byte, and rests of 256 where more than that is left
  kPairs,  // both bytes, and rests of 65536 where the upper one, rounded, runs over
  kWords   // as they are
};

// What codes are multiplied by. Offsets are bytes from the start of a chunk.
struct Factor {
  FactorKind kind;
  int32_t planes;         // of bytes
  int32_t rest;           // what one of the rests counts
  int16_t most;           // without a rest, of kLows and kPairs
  size_t numbers;         // the planes, or the words
  size_t rests;           // a plane
  size_t blocks, counts;  // of each channel those that have rests, and how many
  size_t totals;          // of each channel the sum of all numbers
};

// How a call is computed, and where its parts lie in scratch.
struct SignPlan {
  bool is_fast;
  bool reuses;  // whether full gradients go on from predictions
  PhaseAxis height, width;
  int32_t inputs, outputs, rows;  // of a group
  int32_t images, lines;          // of a chunk
  int32_t chunks, chunks_per_image;
  bool keeps;                           // whether each chunk has memory of its own
  int32_t pitch;                        // places of a line of a plane
  int32_t image_lines;                  // of a plane
  int32_t positions, places;            // of gradients, and of codes, in a plane
  size_t gradient_plane, code_plane;    // numbers from one to the next
  int32_t planes;                       // of codes
  size_t codes, high_codes, has_least;  // of a chunk
  Factor predicted, full;               // of a chunk
  size_t sums, open, lists, pixels, zeros, ones, words, chunk, chunk_bytes;  // bytes before each
  size_t total_bytes;
};

static inline int64_t RoundedUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// Planes of equal places in the same lines of a cache would drive each other out of it.
static inline int64_t PlaneOf(int64_t numbers) { return numbers < 512 ? numbers : numbers + 64; }

template <typename Simd>
void ChooseFactors(const SignPrediction& p, SignPlan* plan) {
  const int32_t most = p.predicted_gradient_bits, cut = p.gradient_bits - most;
  const bool is_narrow = p.predicted_bits <= kNarrowBits;
  const bool is_whole = p.predicted_bits == p.bits;  // of codes nothing is left out
  Factor &predicted = plan->predicted, &full = plan->full;
  if (p.predicted_bits == 0) {
    predicted.kind = FactorKind::kNone;
  } else if (most <= kFourBits && (is_narrow || Simd::kIsWide)) {
    predicted.kind = most <= 8 ? FactorKind::kBytes : FactorKind::kFours;
  } else {
    predicted.kind = is_narrow || Simd::kHasPairs ? FactorKind::kPairs : FactorKind::kWords;
  }
  plan->reuses = is_whole && (cut == 0 || (cut <= 8 && Simd::kIsWide));
  if (plan->reuses) {
    full.kind = cut == 0 ? FactorKind::kNone : cut == 8 ? FactorKind::kLows : FactorKind::kBytes;
  } else {
    full.kind = Simd::kHasPairs ? FactorKind::kPairs : FactorKind::kWords;
  }
  const auto set_rests = [most](Factor* factor) {
    const bool is_low = factor->kind == FactorKind::kLows;
    factor->planes = factor->kind == FactorKind::kPairs ? 2 : 1;
    factor->rest = factor->kind == FactorKind::kFours ? 4 : is_low ? 256 : 65536;
    factor->most = static_cast<int16_t>(is_low ? 256 * ((1 << (most - 1)) - 1) + 127 : 32639);
  };
  set_rests(&predicted);
  set_rests(&full);
}

// Zeros on both sides of an axis, which are next to each other between lines or images and needed
// only once.
static inline int32_t SharedZeros(const Axis& axis, const PhaseAxis& plan) {
  if (axis.stride > 1) return 0;
  const int32_t before = -plan.low, behind = plan.low + plan.span + axis.output - axis.input;
  const int32_t shared = before < behind ? before : behind;
  return shared < 0 ? 0 : shared < plan.span ? shared : plan.span;
}

// The chunks of `usual` positions, or of one line where that has more.
template <typename Simd>
bool PlanChunk(const Conv2DGradientArgs& layer, int64_t usual, SignPlan* plan) {
  const int32_t height = layer.window.height.output, span = plan->height.span;
  const int32_t columns = plan->width.span - SharedZeros(layer.window.width, plan->width);
  const int32_t lines_behind = span - SharedZeros(layer.window.height, plan->height);
  const int64_t pitch = int64_t{layer.window.width.output} + columns;
  const int64_t image = (int64_t{height} + lines_behind) * pitch;
  plan->images = 1;
  plan->lines = height;
  if (image <= usual) {
    const int64_t batch = layer.input.batch, fitting = usual / image;
    const int64_t chunks = RoundedUp(batch, fitting) / fitting;
    plan->images = static_cast<int32_t>(RoundedUp(batch, chunks) / chunks);  // even chunks
  } else {
    const int64_t fitting = usual / pitch - span, least = span > 0 ? 4 * int64_t{span} : 1;
    const int64_t lines = fitting < least ? least : fitting;
    if (lines < height) plan->lines = static_cast<int32_t>(RoundedUp(height, lines) / lines);
    if (lines < height) plan->lines = (height + plan->lines - 1) / plan->lines;  // even chunks
  }
  // A part of an image has neighbors in place of zeros behind it.
  const int32_t behind = plan->lines < height ? span : lines_behind;
  const int64_t lines = plan->images * (int64_t{plan->lines} + behind);
  const int64_t positions = RoundedUp((lines - behind) * pitch - columns, Simd::kStep);
  const int64_t places = RoundedUp(positions + span * pitch + plan->width.span + 1, 64);
  if (positions > kMostPositions || places > kMostPlaneBytes ||
      PlaneOf(places) * plan->planes > kMostPlaneBytes ||
      PlaneOf(positions) * layer.output_channels > kMostPlaneBytes / 2) {
    return false;
  }
  plan->pitch = static_cast<int32_t>(pitch);
  plan->image_lines = plan->lines + behind;
  plan->positions = static_cast<int32_t>(positions);
  plan->places = static_cast<int32_t>(places);
  plan->gradient_plane = static_cast<size_t>(PlaneOf(positions));
  plan->code_plane = static_cast<size_t>(PlaneOf(places));
  plan->chunks_per_image = (height + plan->lines - 1) / plan->lines;
  plan->chunks = (layer.input.batch + plan->images - 1) / plan->images * plan->chunks_per_image;
  return true;
}

// Parts of memory, one behind the other.
class Parts {
 public:
  size_t Add(size_t bytes) {
    const size_t begin = end_;
    end_ += AlignedBytes(bytes);
    return begin;
  }
  size_t end() const { return end_; }

 private:
  size_t end_ = 0;
};

template <typename Simd>
void PlaceFactor(size_t channels, const SignPlan& plan, Parts* parts, Factor* factor) {
  const FactorKind kind = factor->kind;
  if (kind == FactorKind::kNone) return;
  const size_t numbers = channels * plan.gradient_plane;
  factor->numbers = parts->Add(kind == FactorKind::kWords ? numbers * sizeof(int16_t)
                                                          : numbers * size_t(factor->planes));
  if (kind == FactorKind::kWords) return;
  factor->rests = parts->Add(numbers);
  factor->blocks = parts->Add(channels * (plan.positions / Simd::kStep) * sizeof(int32_t));
  factor->counts = parts->Add(channels * sizeof(int32_t));
  factor->totals = parts->Add(channels * sizeof(int64_t));
}

template <typename Simd>
Status PlanSigns(const PredictedSignsArgs& args, SignPlan* plan) {
  GradientSizes sizes;
  const Status status = CheckPredictedSigns(args, &sizes);
  if (status != Status::kOk) return status;
  const Conv2DGradientArgs& layer = args.layer;
  const SignPrediction& prediction = args.prediction;
  *plan = {};
  if (!PlanAxis(layer.window.height, &plan->height)) return Status::kOk;
  if (!PlanAxis(layer.window.width, &plan->width)) return Status::kOk;
  plan->inputs = layer.input.channels / layer.groups;
  plan->outputs = layer.output_channels / layer.groups;
  plan->rows = layer.window.height.kernel * layer.window.width.kernel * plan->inputs;
  const int64_t planes = int64_t{layer.input.channels} * plan->height.phases * plan->width.phases;
  if (planes > kMostPlaneBytes) return Status::kOk;
  plan->planes = static_cast<int32_t>(planes);
  for (int64_t usual = kUsualPositions; usual >= 64 && !plan->is_fast; usual /= 2) {
    plan->is_fast = PlanChunk<Simd>(layer, usual, plan);
  }
  if (!plan->is_fast) return Status::kOk;
  ChooseFactors<Simd>(prediction, plan);
  const size_t weights = size_t(sizes.output), outputs = size_t(layer.output_channels);
  const size_t codes = size_t(planes) * plan->code_plane;
  Parts chunk;
  plan->has_least = chunk.Add(1);
  plan->codes = chunk.Add(codes);
  const bool is_same =
      prediction.predicted_bits == prediction.bits && (Simd::kBias == 0 || Simd::kHasPairs);
  plan->high_codes = is_same || prediction.predicted_bits == 0 ? plan->codes : chunk.Add(codes);
  PlaceFactor<Simd>(outputs, *plan, &chunk, &plan->predicted);
  PlaceFactor<Simd>(outputs, *plan, &chunk, &plan->full);
  plan->chunk_bytes = chunk.end();
  Parts parts;
  plan->sums = parts.Add(weights * sizeof(int64_t));
  plan->open = parts.Add(weights);
  plan->lists = parts.Add(2 * outputs * sizeof(int32_t));
  plan->pixels = parts.Add(size_t(plan->places) * sizeof(void*));
  const size_t widest = outputs * sizeof(int16_t), channels = size_t(layer.input.channels);
  plan->zeros = parts.Add(widest < channels ? channels : widest);
  plan->ones = parts.Add(size_t(plan->positions));
  plan->words = parts.Add(outputs * plan->gradient_plane * sizeof(int16_t));
  plan->chunk = parts.Add(plan->chunk_bytes);
  plan->keeps = plan->chunks <= kMostKeptBytes / static_cast<int64_t>(plan->chunk_bytes);
  if (plan->keeps) parts.Add(plan->chunk_bytes * size_t(plan->chunks - 1));
  plan->total_bytes = parts.end() + kScratchAlignment;
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
