// The lessons: a list to choose from, then for each step what to watch, a question about what to expect, and the checks
// that the demo made on the real nodes.

import { h, keyed, say, set } from './dom.js';
import { get, post } from './net.js';

/** How often a step that is being performed is looked at, in ms. */
const WATCH_MS = 500;

export class Lessons {
  /** `tell(text, isError)` shows trouble; `began(state)` is told of each state of a lesson. */
  constructor(pane, tell, began) {
    Object.assign(this, { pane, tell, began, state: null, busy: false });
    this.menu = h('ol', { class: 'lessons' });
    this.title = h('h3');
    this.progress = h('progress', { 'aria-label': 'steps done' });
    this.step = h('p', { class: 'quiet' });
    this.text = h('p', { class: 'say' });
    this.did = h('p', { class: 'did' });
    this.section = h('small');
    this.legend = h('legend');
    this.choices = h('div');
    this.because = h('p', { class: 'because', role: 'status' });
    this.question = h('fieldset', { class: 'question' }, this.legend, this.choices, this.because);
    this.checks = h('ul', { class: 'checks', 'aria-live': 'polite' });
    this.next = h('button', { type: 'button', id: 'next', class: 'primary', onclick: () => this.act('next') }, 'Next');
    this.stop = h('button', { type: 'button', id: 'stop', onclick: () => this.act('stop') }, 'Stop');
    this.work = h(
      'div',
      { id: 'lesson' },
      this.title,
      this.progress,
      this.step,
      this.text,
      this.section,
      this.question,
      this.did,
      this.checks,
      h('div', { class: 'buttons' }, this.next, this.stop),
    );
    pane.append(this.menu, this.work);
    this.draw();
    // A step goes on when the page that began it was reloaded, or its request was lost.
    setInterval(() => this.state?.performing && !this.busy && this.peek(), WATCH_MS);
  }

  async load(current) {
    try {
      const lessons = await get('api/lessons');
      keyed(
        this.menu,
        lessons,
        (lesson) => lesson.name,
        (lesson) =>
          h(
            'li',
            {},
            h(
              'button',
              { type: 'button', 'data-lesson': lesson.name, onclick: () => this.start(lesson.name) },
              h('span', {}, lesson.title),
              h('small', {}, `${lesson.steps} steps`),
            ),
          ),
        () => {},
      );
    } catch (error) {
      this.tell(error.message, true);
    }
    if (current) await this.peek();
  }

  start(name) {
    return this.act('start', name);
  }

  /** Asks how the running lesson stands; a demo that does not tell is no trouble. */
  async peek() {
    try {
      const state = await get('api/lesson');
      if (state?.name) this.take(state);
      else if (this.state) this.take(null);
    } catch {
      return;
    }
  }

  async act(what, argument) {
    if (this.busy) return;
    this.busy = true;
    this.draw();
    const name = what === 'start' ? argument : this.state?.name;
    const paths = {
      start: `api/lessons/${name}/start`,
      answer: `api/lessons/${name}/answer`,
      next: `api/lessons/${name}/next`,
      stop: 'api/lessons/stop',
    };
    // A step may take seconds; its checks show as they come to hold.
    const watch = what === 'next' ? setInterval(() => this.peek(), WATCH_MS) : null;
    try {
      const state = await post(paths[what], what === 'answer' ? { choice: argument } : {});
      clearInterval(watch);
      this.take(what === 'stop' ? null : state);
    } catch (error) {
      this.tell(error.message, true);
      await this.peek();
    }
    clearInterval(watch);
    this.busy = false;
    this.draw();
    if (what === 'start' || what === 'next') this.title.scrollIntoView({ block: 'nearest' });
    if (what === 'stop') this.menu.querySelector('button')?.focus();
  }

  take(state) {
    this.state = state?.name ? state : null;
    if (this.state) this.began(this.state);
    this.draw();
  }

  draw() {
    const state = this.state;
    this.menu.hidden = !!state;
    this.work.hidden = !state;
    for (const button of this.menu.querySelectorAll('button')) set(button, 'disabled', this.busy);
    set(this.work, 'data-busy', this.busy || state?.performing ? 'true' : 'false');
    if (!state) return;
    for (const [name, value] of Object.entries({
      name: state.name,
      step: state.step,
      of: state.of,
      done: state.done ? 'true' : 'false',
    }))
      set(this.work, `data-${name}`, value);
    say(this.title, state.title ?? state.name);
    set(this.progress, 'max', state.of);
    set(this.progress, 'value', state.done ? state.of : state.step);
    say(this.step, state.done ? `Done: all ${state.of} steps.` : `Step ${state.step} of ${state.of}`);
    say(this.text, state.say ?? '');
    say(this.section, (state.section ?? '').replaceAll('§ ', '§'));
    say(this.did, state.did ? `What was done: ${state.did}` : '');
    this.drawQuestion(state.question);
    keyed(
      this.checks,
      state.checks ?? [],
      (check) => check.says,
      () => h('li', {}, h('strong'), h('span'), h('small')),
      (li, check) => {
        set(li, 'data-holds', check.holds === true ? 'true' : check.holds === false ? 'false' : 'open');
        say(li.children[0], { true: '✓ holds', false: '✗ fails' }[check.holds] ?? '… not yet');
        say(li.children[1], check.says);
        say(li.children[2], check.saw ? `saw: ${check.saw}` : '');
      },
    );
    const performed = state.did !== null && state.did !== undefined && state.did !== '';
    const guess = !performed && !!state.question && !this.answered(state.question);
    const busy = this.busy || !!state.performing;
    set(this.next, 'disabled', busy || state.done);
    set(this.next, 'class', guess ? null : 'primary');
    set(this.work, 'data-performed', performed ? 'true' : 'false');
    say(this.next, busy ? 'Watching…' : performed ? 'Next step' : guess ? 'Do it without a guess' : 'Do it');
    this.next.hidden = !!state.done;
    say(this.stop, state.done ? 'Choose another lesson' : 'Stop');
    set(this.stop, 'disabled', this.busy && !state.performing);
  }

  answered(question) {
    return question.right !== undefined && question.right !== null;
  }

  drawQuestion(question) {
    this.question.hidden = !question;
    if (!question) return;
    const answered = this.answered(question);
    say(this.legend, question.ask ?? 'What do you expect?');
    keyed(
      this.choices,
      question.choices.map((text, i) => ({ text, i })),
      ({ text, i }) => `${i}:${text}`,
      ({ text, i }) =>
        h(
          'button',
          {
            type: 'button',
            class: 'choice',
            'data-choice': i,
            onclick: () => {
              this.chosen = `${this.state.name}:${this.state.step}:${i}`;
              this.act('answer', i);
            },
          },
          h('span', {}, text),
          h('small'),
        ),
      (button, { i }) => {
        const chosen = this.chosen === `${this.state.name}:${this.state.step}:${i}`;
        set(button, 'disabled', answered || this.busy);
        set(button, 'data-right', answered ? (question.right === i ? 'true' : 'false') : null);
        set(button, 'data-chosen', chosen);
        say(button.lastChild, !answered ? '' : question.right === i ? '✓ so it is' : chosen ? '✗ your guess' : '');
      },
    );
    say(this.because, answered ? (question.because ?? '') : '');
  }
}
