#pragma once  // fuzz_coded.h: coded rows out of libFuzzer's bytes.

#include "tests/tflite_kernels/fuzz_call.h"
#include "tflite_kernels/core/coded.h"

namespace {

// Rows that are decoded, into memory that is filled with one byte before.
struct Decoded {
  Decoded(const edgeax::CodedRows& rows, uint8_t filling)
      : weights(rows.weights_size),
        codebook(edgeax::kCodebookEntries),
        indices(rows.indices_size),
        starts(static_cast<size_t>(rows.rows) + 1),
        bias(static_cast<size_t>(rows.rows)),
        scale(rows.scale.size / sizeof(float)) {
    Exact<uint32_t> scratch(rows.scratch_words);
    for (Span<uint8_t> memory :
         {weights.span(), BytesOf(&codebook), indices.span(), BytesOf(&starts), BytesOf(&bias),
          BytesOf(&scale), BytesOf(&scratch)}) {
      if (memory.size > 0) memset(memory.data, filling, memory.size);
    }
    status = DecodeCodedRows(rows, {weights.span(), codebook.span(), Values(), indices.span(),
                                    starts.span(), bias.span(), scale.span(), scratch.span()});
  }

  Span<int8_t> Values() { return {reinterpret_cast<int8_t*>(weights.span().data), weights.size()}; }

  Exact<uint8_t> weights;
  Exact<int8_t> codebook;
  Exact<uint8_t> indices;
  Exact<edgeax::SparseStart> starts;
  Exact<int32_t> bias;
  Exact<float> scale;
  Status status;
};

template <typename T>
bool AreEqual(Exact<T>* some, Exact<T>* others) {
  return memcmp(some->span().data, others->span().data, some->size() * sizeof(T)) == 0;
}

// Decoding must not depend on what lay in memory, and the starts of rows must be those of a scan.
void ExpectRightRows(const edgeax::CodedRows& rows, Decoded* decoded) {
  Decoded again(rows, 0x5A);
  Expect(again.status == decoded->status, "coded", "decodes in one memory alone");
  if (decoded->status != Status::kOk) return;
  Expect(AreEqual(&decoded->weights, &again.weights) &&
             AreEqual(&decoded->indices, &again.indices) && AreEqual(&decoded->bias, &again.bias) &&
             AreEqual(&decoded->scale, &again.scale),
         "coded", "leaves memory as it was");
  if (rows.layout == edgeax::CodedLayout::kPacked4) {
    Expect(AreEqual(&decoded->codebook, &again.codebook), "coded", "leaves its codebook");
    return;
  }
  const Span<const int8_t> values = {decoded->Values().data, decoded->weights.size()};
  Expect(ScanSparse(rows.format, rows.rows, rows.depth, values, decoded->indices.view(),
                    again.starts.span()) == Status::kOk,
         "coded", "writes places that a scan refuses");
  Expect(AreEqual(&decoded->starts, &again.starts), "coded", "writes other starts than a scan");
}

// The buffer of coded rows; its checksum is made right unless the call is damaged.
std::vector<uint8_t> CodedBytes(FuzzInput* in, const Setting& setting) {
  std::vector<uint8_t> bytes(static_cast<size_t>(in->Number()) % kMostElements);
  for (uint8_t& byte : bytes) byte = in->AnyByte();
  if (setting.defect >= 128 || bytes.size() < 4) return bytes;
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i + 4 < bytes.size(); ++i) {
    crc ^= bytes[i];
    for (int32_t bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  memcpy(&bytes[bytes.size() - 4], &crc, 4);
  return bytes;
}

}  // namespace
