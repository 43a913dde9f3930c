"""The ten lessons of docs/learn: what they ask, and what they say to an answer."""

from assembly.lessons.asking import ask, check
from assembly.lessons.catalogue import LESSONS, Lesson
from assembly.lessons.question import Choice, Number, Question, Reply

__all__ = ["LESSONS", "Choice", "Lesson", "Number", "Question", "Reply", "ask", "check"]
