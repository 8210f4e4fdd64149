#pragma once  // adapters/export.h: the library hides every symbol but these.

#define EDGEAX_EXPORT extern "C" __attribute__((visibility("default")))
