#include "tflite_kernels/core/vector_codebook.h"

namespace edgeax {

Status CheckVectorFormat(const VectorFormat& format, int32_t depth) {
  if (format.entries < 2 || format.entries > kMaxVectorEntries) return Status::kBadArgument;
  if (format.length < 1 || depth % format.length != 0) return Status::kBadShape;
  if (format.tables < 1 || VectorPlaces(format, depth) % format.tables != 0) {
    return Status::kBadShape;
  }
  return Status::kOk;
}

bool IndicesFit(const VectorFormat& format, int32_t places, int32_t channels,
                Span<const uint8_t> weights) {
  const int32_t bits = IndexBits(format);
  if (format.entries == 1 << bits) return true;
  for (int32_t block = 0; block * kIndexBlock < channels; ++block) {
    const IndexRows rows = RowsOfBlock(format, weights.data, places, channels, block);
    const uint8_t* row = rows.first;
    for (int32_t p = 0; p < places; ++p, row += rows.row_bytes) {
      for (int32_t c = 0; c < ChannelsOfBlock(channels, block); ++c) {
        if (Unpack(row, c, bits) >= format.entries) return false;
      }
    }
  }
  return true;
}

Status CheckVectorTensors(const VectorFormat& format, const VectorTensors& tensors,
                          int64_t input_size, int32_t depth, int32_t channels,
                          int64_t output_size) {
  const int32_t places = VectorPlaces(format, depth);
  const bool sizes_fit =
      HasSize(tensors.input.size, input_size) &&
      HasSize(tensors.weights.size,
              CheckedProduct(places, PackedBytes(channels, IndexBits(format)))) &&
      HasSize(tensors.codebook.size,
              CheckedProduct(format.tables, format.length, format.entries)) &&
      HasSize(tensors.bias.size, channels) && HasSize(tensors.requantization.size, channels) &&
      HasSize(tensors.output.size, output_size);
  if (!sizes_fit) return Status::kBadShape;
  const bool fit = tensors.indices_fit || IndicesFit(format, places, channels, tensors.weights);
  return fit ? CheckShifts(tensors.requantization) : Status::kBadArgument;
}

}  // namespace edgeax
