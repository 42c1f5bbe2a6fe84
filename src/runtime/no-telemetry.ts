/**
 * To be imported before `onnxruntime-node`, and on the main thread, whose environment alone native code sees. The
 * official builds of ONNX Runtime since 1.29 keep a database of what they are used for in the home folder and send it
 * to their makers (microsoft/onnxruntime#27379). What a house's cameras run is nobody's business, and an SD card should
 * not wear for it.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
