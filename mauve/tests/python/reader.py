"""Reads datagrams, one a line in hexadecimal, as Python's protobuf does, and prints each as a line of JSON.

Called with mauve.proto, which protoc turns into what Python makes its classes of: nothing here is ours but that file.
"""

import json
import os
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory


def update_class(proto):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "descriptors")
        path, name = os.path.split(os.path.abspath(proto))
        subprocess.run(["protoc", "--proto_path", path, "--descriptor_set_out", out, name], check=True)
        with open(out, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName("mauve.AlertUpdate")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def plain(field, value):
    if field.type == field.TYPE_MESSAGE:
        return [set_fields(one) for one in value]
    return value.hex() if field.type == field.TYPE_BYTES else value


def set_fields(update):
    return {field.name: plain(field, value) for field, value in update.ListFields()}


def read(update, datagram):
    try:
        update.ParseFromString(datagram)
        if not update.IsInitialized():
            return {"error": "missing " + ", ".join(update.FindInitializationErrors())}
        return {"update": set_fields(update), "canonical": update.SerializeToString() == datagram}
    except (message.DecodeError, UnicodeDecodeError) as error:
        return {"error": str(error)}


AlertUpdate = update_class(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(read(AlertUpdate(), bytes.fromhex(line))), flush=True)
