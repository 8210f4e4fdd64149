#pragma once  // Stands in for TensorFlow Lite's header: the class of TensorFlow 2.21 in memory.

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/c/common.h"

namespace tflite {

enum BuiltinOperator : int32_t {};

// The virtual functions in their order, and the fields by their size: all that is called is the
// library's own.
class OpResolver {
 public:
  virtual const TfLiteRegistration* FindOp(BuiltinOperator op, int version) const = 0;
  virtual const TfLiteRegistration* FindOp(const char* op, int version) const = 0;
  virtual std::vector<void*> GetDelegates(int num_threads) const;
  virtual std::vector<void*> GetDelegateCreators() const;
  virtual std::vector<void*> GetOpaqueDelegateCreators() const;
  virtual ~OpResolver();

 private:
  virtual bool MayContainUserDefinedOps() const;
  std::shared_ptr<void> operators_cache_;
};

class MutableOpResolver : public OpResolver {
 public:
  const TfLiteRegistration* FindOp(BuiltinOperator op, int version) const override;
  const TfLiteRegistration* FindOp(const char* op, int version) const override;
  void AddCustom(const char* name, const TfLiteRegistration* registration, int version = 1);
  std::vector<void*> GetDelegateCreators() const override;
  std::vector<void*> GetOpaqueDelegateCreators() const override;
  ~MutableOpResolver() override;

 private:
  bool MayContainUserDefinedOps() const override;
  bool may_directly_contain_user_defined_ops_ = false;
  std::vector<void*> delegate_creators_[2];
  std::unordered_map<int, int> operators_[2];
  std::vector<const OpResolver*> others_;
};

}  // namespace tflite
