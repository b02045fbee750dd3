import { LabIcon } from '@jupyterlab/ui-components';

import source from '../style/pyserve.svg';

export const pyserveIcon = new LabIcon({ name: 'jupyter-pyserve:icon', svgstr: source });
