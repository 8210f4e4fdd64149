"""From a `.tflite` file to C++ that needs no interpreter."""
