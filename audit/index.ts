export {
  type AuditOptions,
  type AuditReport,
  auditLoss,
  type BatchData,
  type Evidence,
  type Finding,
  type PropertyOutcome,
} from './audit.ts';
export type { Precision } from './batch.ts';
export { type DescribeOptions, describeLossAudit, type TestFunctions } from './describe.ts';
export { type Family, type FamilyName, familyNames } from './formulas/index.ts';
export { type ModuleDescription, type ModuleOptions, moduleSubject } from './module.ts';
export { type ProgramOptions, programSubject } from './program.ts';
export { propertyNames } from './properties/index.ts';
export { reportText } from './report.ts';
export type { Answer, FlatArray, InputForm, Loss, NamedArray, Question, Subject } from './subject.ts';
