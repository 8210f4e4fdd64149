#pragma once  // Stands in for TensorFlow Lite Micro's header: what an operator asks for.

#include "tensorflow/lite/c/common.h"

namespace tflite {

class MicroContext {
 public:
  virtual void* AllocatePersistentBuffer(size_t bytes) = 0;
  virtual TfLiteStatus RequestScratchBufferInArena(size_t bytes, int* number) = 0;
  virtual void* GetScratchBuffer(int number) = 0;
  virtual TfLiteTensor* AllocateTempTfLiteTensor(int tensor) = 0;
  virtual void DeallocateTempTfLiteTensor(TfLiteTensor* tensor) = 0;
  virtual uint8_t* AllocateTempBuffer(size_t size, size_t alignment) = 0;
  virtual void DeallocateTempBuffer(uint8_t* buffer) = 0;
  virtual TfLiteEvalTensor* GetEvalTensor(int tensor) = 0;

  TfLiteTensor* AllocateTempInputTensor(const TfLiteNode* node, int place) {
    return AllocateTempTfLiteTensor(node->inputs->data[place]);
  }
  TfLiteTensor* AllocateTempOutputTensor(const TfLiteNode* node, int place) {
    return AllocateTempTfLiteTensor(node->outputs->data[place]);
  }
};

inline MicroContext* GetMicroContext(const TfLiteContext* context) {
  return static_cast<MicroContext*>(context->impl_);
}

}  // namespace tflite
