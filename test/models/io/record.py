"""Records what NumPy and safetensors write, for formats.test.ts: python3 record.py > recordings.json (numpy 2.4.6, safetensors 0.8.0)."""
import base64, io, json, warnings
import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import save

warnings.simplefilter('ignore')


def written(array, version=None):
    file = io.BytesIO()
    npy.write_array(file, array, version=version)
    return base64.b64encode(file.getvalue()).decode()


counting = np.arange(6).reshape(2, 3)
floats = counting / 4 - .5
arrays = {
    'f32': floats.astype('<f4'), 'f64': floats, 'i32': (counting - 3).astype('<i4'), 'u8': counting.astype('u1'),
    'bool': counting % 2 == 0, 'i64': counting - 3, 'i16': (counting - 3).astype('<i2'), 'u16': counting.astype('<u2'),
    'i8': (counting - 3).astype('i1'), 'f16': floats.astype('<f2'), 'big-endian f32': floats.astype('>f4'), 'big-endian i64': (counting - 3).astype('>i8'),
    'fortran': np.asfortranarray(floats.astype('<f4')), 'fortran rank 3': np.asfortranarray(np.arange(24, dtype='<i4').reshape(2, 3, 4)),
    'scalar': np.float32(1.5)[()].reshape(()), 'empty': np.zeros((0, 3), '<f4'), 'vector': np.arange(5, dtype='<i4'),
    'f16 specials': np.array([0, -0.0, 6e-8, 6.1e-5, 65504, np.inf, -np.inf, np.nan, 1 / 3], '<f2'),
}
cases = [{'name': name, 'npy': written(array), 'shape': array.shape, 'values': [str(v) for v in array.flatten().astype('f8').tolist()]} for name, array in arrays.items()]
for version in ((2, 0), (3, 0)):
    cases.append({'name': f'version {version[0]}', 'npy': written(arrays['f32'], version), 'shape': (2, 3), 'values': [str(v) for v in floats.flatten().tolist()]})
refused = {
    'structured': written(np.zeros(2, [('a', '<f4'), ('b', '<i4')])), 'complex': written(np.zeros(2, 'c8')),
    'text': written(np.array(['a'])), 'i64 too large': written(np.array([2 ** 31])),
}
tensors = {'weight': floats.astype('<f4'), 'bias': floats, 'steps': np.array(7), 'mask': counting % 2 == 0, 'image': counting.astype('u1'), 'half': floats.astype('<f2')}
print(json.dumps({'npy': cases, 'refused': refused, 'safetensors': base64.b64encode(save(tensors, {'by': 'safetensors', 'ünï': '"x"\n'})).decode(), 'tensors': {name: {'shape': t.shape, 'values': [str(v) for v in t.flatten().astype('f8').tolist()]} for name, t in tensors.items()}}, indent=1))
