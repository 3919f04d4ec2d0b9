import { compute } from './compute.mjs';

compute().then((result) => console.log(JSON.stringify(result)));
