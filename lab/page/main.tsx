import { render } from 'preact';

render(<h1>tensegrity lab</h1>, document.getElementById('page')!);
