import { type Command, chosen } from '../options.ts';
import { ablations } from '../study/ablations.ts';
import { runStudyCommand, studyAbout, studyOptions } from './compare.ts';

export const ablate: Command = {
  summary: 'Leave out or change one thing at a time, and score what comes of it in one table',
  usage: `${Object.keys(ablations).join('|')} [options]`,
  positionals: [1, 1],
  options: studyOptions,
  about: { ablations: Object.entries(ablations).map(([name, { title }]) => [name, title] as const), ...studyAbout },
  examples: [
    ['tensegrity ablate terms', "VICReg's weights: which collapse"],
    ['tensegrity ablate branches --metrics linear,std-l2 --seeds 0', 'variance and covariance in SimSiam and BYOL'],
    ['tensegrity ablate width --budget 10', 'in parts of ten minutes: repeat it to go on'],
  ],
  run: async (input) => {
    const [name] = input.positionals;
    await runStudyCommand(input, ablations[chosen('ablate', name!, Object.keys(ablations))]!);
  },
};
