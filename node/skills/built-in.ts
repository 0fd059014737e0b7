/** The skills that come with Skein, as one module for the skill threads. */
import agentSkills from './agents/skills.ts'
import docsAnswerSkills from './docs-answer/skills.ts'
import repoReportSkills from './repo-report/skills.ts'

export default [...repoReportSkills, ...agentSkills, ...docsAnswerSkills]
